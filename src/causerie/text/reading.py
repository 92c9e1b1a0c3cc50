"""Shows what will be said of a text: its words, its phonemes and its pieces. Needs no model."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from causerie.errors import TextError
from causerie.text.blocks import LeftOut
from causerie.text.front_end import DEFAULT_OPTIONS, FrontEnd, ReadingOptions, without_marks
from causerie.text.normalize import normalize
from causerie.text.split import Piece, split

# A word may have apostrophes inside; any character that is not punctuation counts as spoken.
_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|'(?=[^\W\d_]))*|[^\s.,;:!?'\"()—–…-]")


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A part of a text that is not said, and why."""

    text: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Silence:
    """A pause of a text.

    Attributes:
        after_piece: the number of pieces before it.
    """

    after_piece: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class TextReading:
    """What is said of a text.

    Attributes:
        words: in small letters, without punctuation, the letters of initialisms apart: "five to ten
            dollars", "p m", "g p t four".
        phonemes: the model's input; None where the model reads letters.
        text: the model's input where it reads letters; None where it reads phonemes.
        skipped: what is not said or not obeyed.
        pieces: the text as it is cut, one turn each.
        pauses: the silence between and around the pieces.
    """

    words: str
    phonemes: str | None
    text: str | None
    skipped: tuple[Skipped, ...]
    pieces: tuple[str, ...]
    pauses: tuple[Silence, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The fields, without `phonemes`, `text` and `pauses` where there are none."""
        return {name: value for name, value in asdict(self).items() if value or name in _ALWAYS}


_PICTURES = ("So", "Sk", "Mn", "Me")  # categories of emoji and their modifiers
_ALWAYS = frozenset({"words", "skipped", "pieces"})


def read(text: str, front_end: FrontEnd, options: ReadingOptions = DEFAULT_OPTIONS) -> TextReading:
    """The reading of a text by a model's front end.

    Raises:
        TextError: nothing in it can be said.
    """
    words: list[str] = []
    inputs: list[str] = []
    skipped: list[Skipped] = []
    pieces: list[str] = []
    pauses: list[Silence] = []
    unspeakable: TextError | None = None
    is_raw = not (options.normalize or front_end.lexicon)
    cut = split(
        text,
        front_end.max_piece_chars,
        min_chars=front_end.min_piece_chars,
        is_raw=is_raw,
        tags=front_end.tags,
    )
    for piece in cut or [Piece(text)]:
        if piece.pause_s:
            skipped += _left_out(piece.left_out)
            pauses.append(Silence(after_piece=len(pieces), seconds=piece.pause_s))
            continue
        try:
            spoken = front_end(piece, options)
        except TextError as error:
            unspeakable = unspeakable or error
            skipped += _left_out(piece.left_out)
            if piece.sentences:
                skipped.append(Skipped(text=str(piece), reason="cannot be read"))
            continue
        pieces.append(str(piece))
        inputs.append(spoken.text)
        skipped += _left_out(spoken.left_out)
        if spoken.skipped:
            skipped.append(Skipped(text=spoken.skipped, reason="cannot be read"))
        words += spoken_words(piece, front_end, options)
    if not pieces and (unspeakable or not pauses):
        raise unspeakable or TextError("text is empty: give at least one word")
    joined = " ".join(inputs)
    return TextReading(
        words=" ".join(words),
        phonemes=joined if front_end.lexicon else None,
        text=None if front_end.lexicon else joined,
        skipped=tuple(skipped),
        pieces=tuple(pieces),
        pauses=tuple(pauses),
    )


def spoken_words(piece: Piece, front_end: FrontEnd, options: ReadingOptions) -> list[str]:
    """The words of a piece, as `words_of` has them."""
    knows = front_end.lexicon.knows if front_end.lexicon else None
    return [
        word
        for sentence in piece.sentences
        for word in words_of(front_end.marked(sentence, options, []), knows)
    ]


def words_of(text: str, knows: Callable[[str], bool] | None = None) -> list[str]:
    """The words of a text without markup, as they are said: small letters, no punctuation.

    Args:
        knows: whether the lexicon of the model has a word; see `normalize`.
    """
    words = _WORD.findall(normalize(without_marks(text), knows=knows).lower())
    return [word for word in words if unicodedata.category(word[0]) not in _PICTURES]


def _left_out(parts: Iterable[LeftOut]) -> Iterator[Skipped]:
    return (Skipped(text=part.text, reason=part.reason) for part in parts)
