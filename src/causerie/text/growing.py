"""Text that is still being written, by a language model, say, into pieces that can be spoken.

A sentence is known to be whole once a word follows it. Pieces depend on the text alone, not on how
it was chunked, so that the same text and seed give the same sound. Knows nothing of models.
"""

from __future__ import annotations

import enum
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Final

from causerie.text.check import check_text
from causerie.text.split import sentences, split

#: The first piece is a sentence, however short, so that sound starts early. Later ones have at
#: least so many characters where they can: short ones, each for itself, sound chopped.
MIN_LATER_CHARS = 60

_WORD_ENDS = re.compile(r"(?<=\S)\s")
_MAY_END = re.compile(r"[^\w\s,]|\n")


class Flush(enum.Enum):
    """Has one member, `FLUSH`."""

    FLUSH = "flush"


#: Among pieces of growing text: what came so far is whole, speak it.
FLUSH: Final = Flush.FLUSH


class GrowingText:
    """Cuts pieces of whole sentences off a text as it grows.

    Args:
        max_chars: of a piece; a longer sentence is cut as `split` does.
    """

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars
        self._open = ""  # from the beginning of the sentence that is being written
        self._whole: list[str] = []  # sentences too short to be a piece yet
        self._num_pieces = 0

    def add(self, text: str) -> list[str]:
        """Let the text go on; the pieces that are whole by it."""
        pieces: list[str] = []
        start, grown = len(self._open), self._open + text
        self._open = grown
        for match in _WORD_ENDS.finditer(grown, max(0, start - 1)):
            if match.end() > start:
                pieces += self._look(match.end() - len(grown))
        return pieces

    def flush(self) -> list[str]:
        """All that is left, as if the text ended here."""
        pieces = self._take(sentences(self._open))
        self._open = ""
        return pieces + self._rest()

    def _look(self, end: int) -> list[str]:
        """Pieces that are whole where the text has come as far as `end`, counted from its end."""
        seen = self._open[: end or None]
        if not _MAY_END.search(seen) and len(seen) <= self._max_chars:
            return []  # no sentence can have ended: the usual case, and the quick one
        *whole, last = sentences(seen, keep=True)
        if len(last) > self._max_chars:  # nobody will wait for its end
            *cut, last = split(last, self._max_chars)
            whole += cut
            last += " "
        self._open = last + self._open[len(seen) :]
        return self._take(whole)

    def _take(self, whole: list[str]) -> list[str]:
        """Pieces of sentences that came before, and of these."""
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


def growing(text: Iterable[str | Flush], max_chars: int) -> Iterator[list[str]]:
    """Pieces as the parts of a text come, none after most of them.

    Raises:
        TextError: a part is no text.
    """
    pieces = GrowingText(max_chars)
    for part in text:
        yield _next(pieces, part)
    yield pieces.flush()


async def agrowing(text: AsyncIterable[str | Flush], max_chars: int) -> AsyncIterator[list[str]]:
    """`growing` for asyncio."""
    pieces = GrowingText(max_chars)
    async for part in text:
        yield _next(pieces, part)
    yield pieces.flush()


def _next(pieces: GrowingText, part: str | Flush) -> list[str]:
    if isinstance(part, Flush):
        return pieces.flush()
    check_text(part)
    return pieces.add(part)
