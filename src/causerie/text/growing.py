"""Cuts text that is still being written, for example by a language model, into pieces to speak.

A sentence is complete once a word follows it. Pieces depend only on the text, not on how it was
chunked, so the same text and seed give the same sound. Does not know models.
"""

from __future__ import annotations

import enum
import re
from typing import Final

from causerie.text.split import sentences, split

#: The first piece is one sentence, even a short one, so that sound starts early. Later pieces join
#: sentences up to at least this many characters: short pieces sound chopped.
MIN_LATER_CHARS = 60

_WORD_ENDS = re.compile(r"(?<=\S)\s")
_MAY_END = re.compile(r"[^\w\s,]|\n")


class Flush(enum.Enum):
    """The type of `FLUSH`."""

    FLUSH = "flush"


#: Among the parts of a text: the text so far is complete, speak it now.
FLUSH: Final = Flush.FLUSH


class GrowingText:
    """Cuts complete sentences off a text as it grows.

    Args:
        max_chars: the longest piece; `split` cuts a longer sentence.
    """

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars
        self._open = ""  # from the start of the unfinished sentence
        self._whole: list[str] = []  # complete sentences, together too short for a piece
        self._num_pieces = 0

    def add(self, text: str) -> list[str]:
        """Append text; returns the pieces that are now complete."""
        pieces: list[str] = []
        start, grown = len(self._open), self._open + text
        self._open = grown
        for match in _WORD_ENDS.finditer(grown, max(0, start - 1)):
            if match.end() > start:
                pieces += self._look(match.end() - len(grown))
        return pieces

    def flush(self) -> list[str]:
        """The remaining pieces, as if the text ended here."""
        pieces = self._take(sentences(self._open))
        self._open = ""
        return pieces + self._rest()

    def _look(self, end: int) -> list[str]:
        """The pieces complete at `end`, a position counted back from the end of the text."""
        seen = self._open[: end or None]
        if not _MAY_END.search(seen) and len(seen) <= self._max_chars:
            return []  # no sentence can have ended: the usual case, kept fast
        *whole, last = sentences(seen, keep=True)
        if len(last) > self._max_chars:  # do not wait for its end
            *cut, last = split(last, self._max_chars)
            whole += cut
            last += " "
        self._open = last + self._open[len(seen) :]
        return self._take(whole)

    def _take(self, whole: list[str]) -> list[str]:
        """Pieces made of waiting sentences and these."""
        pieces: list[str] = []
        for part in whole:
            for sentence in split(part, self._max_chars):
                if self._whole and len(self._joined()) + 1 + len(sentence) > self._max_chars:
                    pieces += self._rest()
                self._whole.append(sentence)
                if self._num_pieces == 0 or len(self._joined()) >= MIN_LATER_CHARS:
                    pieces += self._rest()
        return pieces

    def _rest(self) -> list[str]:
        if not self._whole:
            return []
        piece, self._whole = self._joined(), []
        self._num_pieces += 1
        return [piece]

    def _joined(self) -> str:
        return " ".join(self._whole)
