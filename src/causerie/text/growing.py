"""Cuts text that is still being written, for example by a language model, into pieces to speak.

Pieces depend only on the text, not on how it was chunked, so the same text and seed give the same
sound. Does not know models.
"""

from __future__ import annotations

import enum
from typing import Final

from causerie.text.split import MIN_PIECE_CHARS, Packer, Piece, SentenceReader


class Flush(enum.Enum):
    """The type of `FLUSH`."""

    FLUSH = "flush"


#: Among the parts of a text: the text so far is complete, speak it now.
FLUSH: Final = Flush.FLUSH


class GrowingText:
    """Cuts complete sentences off a text as it grows.

    The first piece is one sentence, even a short one, so that sound starts early.

    Args:
        max_chars: the longest piece; a longer sentence is cut.
        is_raw: pieces are used as they are written, so that pauses are text.
        tags: of the model, see `FrontEnd`.
    """

    def __init__(
        self, max_chars: int, *, is_raw: bool = False, tags: frozenset[str] = frozenset()
    ) -> None:
        self._reader = SentenceReader(max_chars, tags)
        self._packer = Packer(max_chars, min_chars=MIN_PIECE_CHARS, is_quick=True, is_raw=is_raw)

    def add(self, text: str) -> list[Piece]:
        """Append text; returns the pieces that are now complete."""
        self._packer.add_source(text)
        return self._packer.add(self._reader.add(text))

    def flush(self) -> list[Piece]:
        """The remaining pieces so far. A sentence that is cut ends in a comma's pause."""
        return self._packer.add(self._reader.flush()) + self._packer.rest()

    def end(self) -> list[Piece]:
        """The remaining pieces; the text ends here."""
        return self._packer.add(self._reader.end()) + self._packer.rest(to_end=True)
