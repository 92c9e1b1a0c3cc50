"""Shows what will be said of a text: its words, its phonemes and its pieces. Needs no model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from causerie.errors import TextError
from causerie.text.front_end import FrontEnd
from causerie.text.normalize import normalize
from causerie.text.split import MAX_PIECE_CHARS, Piece, split

# A word may have apostrophes inside; any character that is not punctuation counts as spoken.
_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|'(?=[^\W\d_]))*|[^\s.,;:!?'\"()—–…-]")


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A part of a text that is not said, and why."""

    text: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class TextReading:
    """What is said of a text.

    Attributes:
        words: in small letters, without punctuation, the letters of initialisms apart: "five to ten
            dollars", "p m", "g p t four". As written where the model reads the text itself.
        phonemes: the model's input; None where the model reads the text itself.
        skipped: what is not said.
        pieces: the text as it is cut, one turn each.
    """

    words: str
    phonemes: str | None
    skipped: tuple[Skipped, ...]
    pieces: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The fields, without `phonemes` where there are none."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def read(text: str, front_end: FrontEnd) -> TextReading:
    """The reading of a text by a model's front end.

    Raises:
        TextError: nothing in it can be said.
    """
    words: list[str] = []
    phonemes: list[str] = []
    skipped: list[Skipped] = []
    pieces: list[str] = []
    unspeakable: TextError | None = None
    for piece in split(text, MAX_PIECE_CHARS) or [Piece(text)]:
        try:
            spoken = front_end(piece)
        except TextError as error:
            unspeakable = unspeakable or error
            skipped += _left_out(piece)
            if piece.sentences:
                skipped.append(Skipped(text=str(piece), reason="cannot be read"))
            continue
        pieces.append(str(piece))
        skipped += _left_out(piece) if front_end.lexicon else ()
        if spoken.skipped:
            skipped.append(Skipped(text=spoken.skipped, reason="cannot be read"))
        if front_end.lexicon:
            phonemes.append(spoken.text)
            words += [word for sentence in piece.sentences for word in words_of(sentence.text)]
        else:
            words.append(spoken.text)
    if not pieces:
        raise unspeakable or TextError("text is empty: give at least one word")
    return TextReading(
        words=" ".join(words),
        phonemes=" ".join(phonemes) if front_end.lexicon else None,
        skipped=tuple(skipped),
        pieces=tuple(pieces),
    )


def words_of(text: str) -> list[str]:
    """The words of a text without markup, as they are said: small letters, no punctuation."""
    return _WORD.findall(normalize(text).lower())


def _left_out(piece: Piece) -> Iterator[Skipped]:
    return (Skipped(text=part.text, reason=part.reason) for part in piece.left_out)
