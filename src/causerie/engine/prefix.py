"""Keys and values of prompts' first rows, kept for the requests that start alike.

A voice or a conversation is read once. What is kept is found by its rows, compared exactly, and
what was not used for the longest time goes when the memory is full. Knows nothing of what is in a
`SavedRows`. Not thread-safe: it belongs to whoever steps the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from causerie.engine.runner import Rows, SavedRows


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """What is kept of one prompt.

    Attributes:
        rows: the rows of `saved`.
        ends: where they were cut when they were read.
    """

    rows: Rows
    ends: tuple[int, ...]
    saved: SavedRows

    @property
    def num_bytes(self) -> int:
        """All of it."""
        return self.saved.num_bytes + self.rows.nbytes


class Prefixes:
    """The store.

    Args:
        max_bytes: kept at most; 0 keeps nothing.
        row_invariant: see `Runner`; where it is not, rows are shared only by prompts that are cut
            alike, up to such a cut.

    Attributes:
        num_bytes: kept now.
        num_hits: prompts that began with kept rows.
        num_rows_saved: rows that need not be read for that.
        version: counts the changes.
    """

    def __init__(self, max_bytes: int, *, row_invariant: bool) -> None:
        self.max_bytes, self.row_invariant = max_bytes, row_invariant
        self.num_bytes = self.num_hits = self.num_rows_saved = self.version = 0
        self._entries: list[Entry] = []  # the latest used last

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, rows: Rows, ends: Sequence[int]) -> tuple[SavedRows, int] | None:
        """The kept rows that a prompt can begin with, and how many of them; at least one is left.

        Args:
            ends: where the prompt is cut.
        """
        shared = [self._num_shared(entry, rows[:-1], ends) for entry in self._entries]
        most = max(shared, default=0)
        if not most:
            return None
        best = self._entries[shared.index(most)]
        self._entries.remove(best)
        self._entries.append(best)
        self.num_hits += 1
        self.num_rows_saved += most
        return best.saved, most

    def has(self, rows: Rows, ends: Sequence[int]) -> bool:
        """Whether these rows can be found, should a prompt begin with them."""
        return any(self._num_shared(entry, rows, ends) == len(rows) for entry in self._entries)

    def add(self, rows: Rows, ends: Sequence[int], saved: SavedRows) -> None:
        """Keep rows, and let go what that leaves no room for."""
        entry = Entry(rows=rows.copy(), ends=tuple(ends), saved=saved)
        if entry.num_bytes > self.max_bytes:
            return
        self._entries.append(entry)
        self.num_bytes += entry.num_bytes
        while self.num_bytes > self.max_bytes:
            self.num_bytes -= self._entries.pop(0).num_bytes
        self.version += 1

    def _num_shared(self, entry: Entry, rows: Rows, ends: Sequence[int]) -> int:
        """How many of these rows, from the first on, may be taken from an entry."""
        length = min(len(entry.rows), len(rows))
        differs = (entry.rows[:length] != rows[:length]).any(axis=1)
        equal = int(differs.argmax()) if differs.any() else length
        if self.row_invariant:
            return equal
        shared = 0
        for theirs, ours in zip(entry.ends, ends, strict=False):
            if theirs != ours or ours > equal:
                break
            shared = ours
        return shared
