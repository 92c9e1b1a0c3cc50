"""Turns a user's text into the text that a checkpoint's tokenizer was trained on.

There are two kinds: "plain" does not change the text (csm-1b), "phonemes" writes numbers and
symbols as words and words as phonemes from a lexicon. Does not know tokenizers or models.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from causerie.errors import CheckpointError, ConfigError, TextError
from causerie.text.blocks import LeftOut
from causerie.text.normalize import normalize
from causerie.text.pronounce import PUNCTUATION, Lexicon
from causerie.text.split import Piece, whole

KINDS = ("plain", "phonemes")
LEXICON_FILE = "lexicon.txt.gz"
_PAUSES = frozenset(PUNCTUATION + " ")
_STOPS = ".!?…"


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """The input of the tokenizer.

    Attributes:
        text: text or phonemes.
        skipped: the characters that cannot be read, in order.
        left_out: the blocks that are not read, and why.
    """

    text: str
    skipped: str = ""
    left_out: tuple[LeftOut, ...] = ()


class FrontEnd:
    """Converts a user's text to text for the tokenizer.

    Args:
        kind: "plain" or "phonemes".
        lexicon: required for "phonemes".

    Raises:
        ConfigError: the kind is unknown, or "phonemes" has no lexicon.
    """

    def __init__(self, kind: str, lexicon: Lexicon | None = None) -> None:
        _check(kind)
        if kind == "phonemes" and lexicon is None:
            raise ConfigError("front end 'phonemes' needs a lexicon: use FrontEnd.load")
        self.kind, self.lexicon = kind, lexicon

    @classmethod
    def load(cls, kind: str, folder: Path) -> FrontEnd:
        """The front end of the checkpoint in a folder; "phonemes" reads its lexicon.txt.gz.

        Raises:
            ConfigError: the kind is unknown.
            CheckpointError: the lexicon is missing or unreadable.
        """
        _check(kind)
        if kind == "plain":
            return cls(kind)
        path = folder / LEXICON_FILE
        if not path.is_file():
            raise CheckpointError(
                f"{path} is missing; a checkpoint with front_end 'phonemes' needs it: "
                "fetch or copy the whole folder again"
            )
        return cls(kind, Lexicon.load(path))

    def __call__(self, text: str) -> Spoken:
        """Convert a text. Phonemes end in a stop, or in a comma where a `Piece` cuts a sentence.

        Args:
            text: as written. A `Piece` has been read already.

        Raises:
            TextError: the text is blank, or nothing in it can be spoken.
        """
        if not text.strip():
            raise TextError(f"text is empty ({_excerpt(text)}): give at least one word")
        if self.lexicon is None:
            return Spoken(text=text)
        piece = text if isinstance(text, Piece) else whole(text)
        phonemes, skipped = [], ""
        for sentence in piece.sentences:
            reading = self.lexicon.read(normalize(sentence.text))
            skipped += reading.unread
            if not _PAUSES.issuperset(reading.phonemes):
                phonemes.append(_ended(reading.phonemes, "," if sentence.is_open else "."))
        if not phonemes:
            raise TextError(
                f"nothing in {_excerpt(text)} can be spoken: this model reads English words, "
                "numbers and the usual symbols"
            )
        return Spoken(text=" ".join(phonemes), skipped=skipped, left_out=piece.left_out)


def in_words(text: str) -> str:
    """A text in words, without markup. Sentences but the last end in a stop."""
    words = [normalize(sentence.text) for sentence in whole(text).sentences]
    words = [sentence for sentence in words if sentence]
    ended = [words if words[-1] in PUNCTUATION + "\"')" else words + "." for words in words[:-1]]
    return " ".join([*ended, *words[-1:]])


def _ended(phonemes: str, stop: str) -> str:
    """The phonemes with a stop at their end; a model invents words where there is none."""
    if phonemes[-1] in _STOPS:
        return phonemes
    return phonemes.rstrip(PUNCTUATION + " ") + stop


def _check(kind: str) -> None:
    if kind not in KINDS:
        raise ConfigError(f"front end {kind!r} is unknown: use one of {', '.join(KINDS)}")


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
