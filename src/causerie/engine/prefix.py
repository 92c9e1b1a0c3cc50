"""The prefix cache: keys and values of the first rows of prompts, for requests that start alike.

A voice or a context is read once. Entries are found by their rows, compared exactly. When the
memory is full, the least recently used entry goes. Of replies, which only their own next turn
begins with, the latest of each slot is kept. Not thread-safe: the thread that steps owns it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from causerie.engine.runner import Rows, SavedRows


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """A cached prefix.

    Attributes:
        rows: the rows of `saved`.
        ends: where the rows were cut when they were read.
        reply_slot: the slot of the reply that the rows end with; None for a voice or a context.
    """

    rows: Rows
    ends: tuple[int, ...]
    saved: SavedRows
    reply_slot: int | None = None

    @property
    def num_bytes(self) -> int:
        """Memory of the rows and their keys and values."""
        return self.saved.num_bytes + self.rows.nbytes


class PrefixCache:
    """The cached prefixes of one runner.

    Args:
        max_bytes: memory limit; 0 caches nothing.
        row_invariant: see `Runner`. Without it, prompts share rows only up to a common cut.

    Attributes:
        num_hits: prompts that began with a cached prefix.
        num_rows_saved: rows that these prompts did not have to read.
        version: number of changes so far.
    """

    def __init__(self, max_bytes: int, *, row_invariant: bool) -> None:
        self.max_bytes, self.row_invariant = max_bytes, row_invariant
        self.num_hits = self.num_rows_saved = self.version = 0
        self._entries: list[Entry] = []  # the most recently used last

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def num_bytes(self) -> int:
        """Memory in use."""
        return sum(entry.num_bytes for entry in self._entries)

    def find(self, rows: Rows, ends: Sequence[int]) -> tuple[SavedRows, int] | None:
        """The longest cached prefix of a prompt and its number of rows.

        At least one row of the prompt is left to be read.

        Args:
            ends: where the prompt is cut.
        """
        shared = [self._num_shared(entry, rows[:-1], ends) for entry in self._entries]
        most = max(shared, default=0)
        if not most:
            return None
        best = self._entries.pop(shared.index(most))
        self._entries.append(best)
        self.num_hits += 1
        self.num_rows_saved += most
        return best.saved, most

    def has(self, rows: Rows, ends: Sequence[int]) -> bool:
        """Whether an entry that stays, thus not a reply's, begins with these rows."""
        return any(
            entry.reply_slot is None and self._num_shared(entry, rows, ends) == len(rows)
            for entry in self._entries
        )

    def add(
        self, rows: Rows, ends: Sequence[int], saved: SavedRows, *, reply_slot: int | None = None
    ) -> None:
        """Cache rows, in place of those that they make useless, and evict what no longer fits."""
        new = Entry(rows=rows.copy(), ends=tuple(ends), saved=saved, reply_slot=reply_slot)
        if new.num_bytes > self.max_bytes:
            return
        self._entries = [old for old in self._entries if not self._replaces(new, old)] + [new]
        while self.num_bytes > self.max_bytes:
            self._entries.pop(0)
        self.version += 1

    def clear(self) -> None:
        """Forget all entries; the memory of their keys and values is free."""
        self._entries.clear()
        self.version += 1

    def _replaces(self, new: Entry, old: Entry) -> bool:
        """Whether the old entry is the slot's last reply, or the beginning of a new context."""
        if new.reply_slot is not None:
            return new.reply_slot == old.reply_slot
        covered = self._num_shared(new, old.rows, old.ends) == len(old.rows)
        return covered and old.reply_slot is None

    def _num_shared(self, entry: Entry, rows: Rows, ends: Sequence[int]) -> int:
        """The number of leading rows that can be taken from an entry."""
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
