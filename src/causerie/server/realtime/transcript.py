"""The words of a turn, as its client gets them while it is spoken."""

from __future__ import annotations

from itertools import takewhile


class Transcript:
    """The deltas of one turn: only words that do not change any more, as clients append them."""

    def __init__(self) -> None:
        self._latest: list[str] = []  # words of the latest partial result
        self._num_sent = 0

    def partial(self, text: str) -> str:
        """What a partial result adds: the words that the one before had as well."""
        words = text.split()
        same = takewhile(lambda pair: pair[0] == pair[1], zip(self._latest, words, strict=False))
        self._latest, num_same = words, len(list(same))
        return self._until(num_same)

    def whole(self, text: str) -> str:
        """The words of the whole turn that were not sent."""
        self._latest = text.split()
        return self._until(len(self._latest))

    def _until(self, num_words: int) -> str:
        """The words up to this number that were not sent."""
        new = self._latest[self._num_sent : num_words]
        space = " " if new and self._num_sent else ""
        self._num_sent = max(self._num_sent, num_words)
        return space + " ".join(new)
