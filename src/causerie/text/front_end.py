"""Turns a user's text into the text that a checkpoint's tokenizer was trained on.

There are two kinds, which both write numbers and symbols as words: "plain" keeps spelling, case and
punctuation (csm-1b), "phonemes" writes words as phonemes from a lexicon. Does not know tokenizers
or models.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from causerie.errors import CheckpointError, ConfigError, TextError
from causerie.text import marks
from causerie.text.addresses import unread_parts
from causerie.text.blocks import LeftOut
from causerie.text.lexicon import UserLexicon
from causerie.text.marks import Mark
from causerie.text.normalize import EMOTICON, normalize
from causerie.text.pronounce import PUNCTUATION, Lexicon
from causerie.text.split import (
    MAX_PHONEME_PIECE_CHARS,
    MAX_PIECE_CHARS,
    MIN_PIECE_CHARS,
    Piece,
    Sentence,
    whole,
)

KINDS = ("plain", "phonemes")
LEXICON_FILE = "lexicon.txt.gz"
_PAUSES = frozenset(PUNCTUATION + " ")
_STOPS = ".!?…"
_CLOSING = "\"')]"
_INSIDE = frozenset(",.;:!?…—")
#: Items of a list up to this length end in commas, but for the last of a piece. Of eight lists in
#: three voices, petit says 6.2 % of the words wrong with stops and 3.6 % with commas, and after
#: "Red apples. Blue berries. Green beans." it often says the last item twice.
MAX_ITEM_CHARS = 30
_UNREADABLE = ("S", "C")  # categories of symbols and of control characters


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """How a text is read.

    Attributes:
        lexicon: pronunciations of the user.
        normalize: False gives a "plain" model the text exactly as it is written.
    """

    lexicon: UserLexicon | None = None
    normalize: bool = True


DEFAULT_OPTIONS = ReadingOptions()


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """The input of the tokenizer.

    Attributes:
        text: text or phonemes.
        skipped: the characters that cannot be read, in order.
        left_out: the parts that are not read or not obeyed, and why.
    """

    text: str
    skipped: str = ""
    left_out: tuple[LeftOut, ...] = ()


class FrontEnd:
    """Converts a user's text to text for the tokenizer.

    Args:
        kind: "plain" or "phonemes".
        lexicon: required for "phonemes".
        tags: sounds and styles that the model speaks, as they are written: [laughs], <sigh>. Other
            models leave them out.

    Raises:
        ConfigError: the kind is unknown, or "phonemes" has no lexicon, or a tag is invalid.
    """

    def __init__(
        self, kind: str, lexicon: Lexicon | None = None, *, tags: Iterable[str] = ()
    ) -> None:
        _check(kind)
        if kind == "phonemes" and lexicon is None:
            raise ConfigError("front end 'phonemes' needs a lexicon: use FrontEnd.load")
        self.kind, self.lexicon, self.tags = kind, lexicon, _checked_tags(tags)

    @property
    def max_piece_chars(self) -> int:
        """The length of the longest pieces that the model says well."""
        return MAX_PIECE_CHARS if self.lexicon is None else MAX_PHONEME_PIECE_CHARS

    @property
    def min_piece_chars(self) -> int:
        """Pieces of a whole text are complete at this length.

        Models of phonemes learn from single sentences: of four short ones in one piece they leave
        out whole sentences. csm-1b learned from long turns.
        """
        return MAX_PIECE_CHARS if self.lexicon is None else MIN_PIECE_CHARS

    @classmethod
    def load(cls, kind: str, folder: Path, *, tags: Iterable[str] = ()) -> FrontEnd:
        """The front end of the checkpoint in a folder; "phonemes" reads its lexicon.txt.gz.

        Raises:
            ConfigError: the kind is unknown, or a tag is invalid.
            CheckpointError: the lexicon is missing or unreadable.
        """
        _check(kind)
        if kind == "plain":
            return cls(kind, tags=tags)
        path = folder / LEXICON_FILE
        if not path.is_file():
            raise CheckpointError(
                f"{path} is missing; a checkpoint with front_end 'phonemes' needs it: "
                "fetch or copy the whole folder again"
            )
        return cls(kind, Lexicon.load(path), tags=tags)

    def __call__(self, text: str, options: ReadingOptions = DEFAULT_OPTIONS) -> Spoken:
        """Convert a text. It ends in a stop, or in a comma where a `Piece` cuts a sentence.

        Args:
            text: as written. A `Piece` has been read already.

        Raises:
            TextError: the text is blank, or nothing in it can be spoken.
        """
        if not text.strip():
            raise TextError(f"text is empty ({_excerpt(text)}): give at least one word")
        if self.lexicon is None and not options.normalize:
            return Spoken(text=text)
        piece = text if isinstance(text, Piece) else whole(text, self.tags)
        left_out = list(piece.left_out)
        if not options.normalize:
            left_out.append(_note("normalize (this model reads phonemes)", "off"))
        spoken, skipped = [], ""
        follows = [*map(_is_short_item, piece.sentences[1:]), False]
        for sentence, is_item_next in zip(piece.sentences, follows, strict=False):
            is_inner = self.lexicon is not None and is_item_next and _is_short_item(sentence)
            words = self.marked(sentence, options, left_out)
            part, unread = self._phonemes(words) if self.lexicon else _letters(words)
            skipped += unread
            if part:
                spoken.append(_ended(part, "," if sentence.is_open or is_inner else "."))
        if not spoken:
            raise TextError(
                f"nothing in {_excerpt(text)} can be spoken: this model reads English words, "
                "numbers and the usual symbols"
            )
        return Spoken(text=" ".join(spoken), skipped=skipped, left_out=tuple(left_out))

    def marked(self, sentence: Sentence, options: ReadingOptions, left_out: list[LeftOut]) -> str:
        """A sentence with the user's pronunciations, and without what the model does not speak.

        Args:
            left_out: the parts that are not obeyed are added to it.
        """
        text = sentence.text
        left_out += [_note("emoticon", match[0]) for match in EMOTICON.finditer(text)]
        left_out += [_note("part of a web address", part) for part in unread_parts(text)]
        if options.lexicon is not None:
            text = options.lexicon.apply(text, self.lexicon.knows if self.lexicon else _any)

        def reading(mark: Mark) -> str:
            if mark.is_tag:
                if mark.written in self.tags:
                    return str(mark)
                left_out.append(_note("tag that this model does not speak", mark.written))
                return " "
            if self.lexicon is None:
                reason = "pronunciation (this model reads letters: give a respelling)"
                left_out.append(_note(reason, mark.written))
                return mark.written
            return str(mark)

        return marks.replace(text, reading)

    def _phonemes(self, words: str) -> tuple[str, str]:
        """The phonemes of a sentence, and what cannot be read; empty if it has only pauses."""
        assert self.lexicon is not None
        reading = self.lexicon.read(normalize(words, knows=self.lexicon.knows))
        is_silent = _PAUSES.issuperset(reading.phonemes)
        return "" if is_silent else reading.phonemes, reading.unread


def _letters(words: str) -> tuple[str, str]:
    """A sentence in words, and what cannot be read; empty if it has only punctuation."""
    text = normalize(words, spells=False)
    skipped = ""
    kept = ""
    for char in text:
        if unicodedata.category(char)[0] in _UNREADABLE and not marks.is_part(char):
            skipped += char
        else:
            kept += char
    kept = marks.replace(" ".join(kept.split()), lambda mark: mark.written)
    return kept if any(char.isalnum() for char in kept) else "", skipped


def in_words(text: str) -> str:
    """A text in words, without markup. Sentences but the last end in a stop."""
    words = [normalize(without_marks(sentence.text)) for sentence in whole(text).sentences]
    words = [sentence for sentence in words if sentence]
    ended = [words if words[-1] in PUNCTUATION + "\"')" else words + "." for words in words[:-1]]
    return " ".join([*ended, *words[-1:]])


def without_marks(text: str) -> str:
    """A text with the written words in place of marks, and without tags."""
    return marks.replace(text, lambda mark: " " if mark.is_tag else mark.written)


def _is_short_item(sentence: Sentence) -> bool:
    """Whether a sentence is an item of a list, of a few words without punctuation."""
    text = sentence.text
    return sentence.is_item and len(text) <= MAX_ITEM_CHARS and _INSIDE.isdisjoint(text)


def _ended(text: str, stop: str) -> str:
    """The text with a stop at its end; a model invents words where there is none."""
    inner = text.rstrip(_CLOSING)
    if inner[-1:] in _STOPS:
        return text
    if text[-1:] in _CLOSING:
        return text + ("" if inner[-1:] in PUNCTUATION else stop)
    return text.rstrip(PUNCTUATION + " -") + stop


def _any(_: str) -> bool:
    return True


def _note(reason: str, text: str) -> LeftOut:
    return LeftOut(reason, text, 0, is_block=False)


def _checked_tags(tags: Iterable[str]) -> frozenset[str]:
    found = frozenset([tags] if isinstance(tags, str) else tags)
    for tag in found:
        if not isinstance(tag, str) or len(tag) < 3 or tag[0] not in "[<(*":
            raise ConfigError(f"a tag is like [laughs] or <laugh>, not {tag!r}")
    return found


def _check(kind: str) -> None:
    if kind not in KINDS:
        raise ConfigError(f"front end {kind!r} is unknown: use one of {', '.join(KINDS)}")


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
