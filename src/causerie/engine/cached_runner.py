"""A runner behind a prefix cache: the engine's only way to the runner.

Knows slots, rows and prefixes; nothing of queues, threads or listeners. Errors pass through.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from causerie.engine.prefix import PrefixCache
from causerie.engine.request import Request, Ticket
from causerie.engine.runner import Draw, Rows, Runner
from causerie.errors import DeviceMemoryError

log = logging.getLogger("causerie.engine")

T = TypeVar("T")


class CachedRunner:
    """Computes for tickets, and reads a prefix that it has cached only once. Not thread-safe.

    Attributes:
        num_rows: rows of prompts read so far.
    """

    def __init__(self, runner: Runner, cache: PrefixCache) -> None:
        self.runner, self.cache = runner, cache
        self.num_rows = 0

    def reset(self, slot: int) -> None:
        """Empty a slot for a new request."""
        self.runner.reset(slot)

    def load_prefix(self, slot: int, ticket: Ticket) -> int:
        """Load the longest cached prefix of a prompt into its empty slot; returns its rows."""
        found = self.cache.find(ticket.request.rows, ticket.ends)
        if found is None:
            return 0
        saved, num_rows = found
        self._with_room(lambda: self.runner.load(slot, saved, num_rows))
        return num_rows

    def cuts(self, ticket: Ticket, end: int) -> list[int]:
        """The positions at which to cut the rows that are read next, up to `end`.

        A row-invariant runner needs a cut only where the prefix to be cached ends.
        """
        cuts = ticket.ends
        if self.runner.row_invariant:
            cuts = tuple({*ticket.request.part_ends[-2:-1], end})
        return sorted(cut for cut in cuts if ticket.num_read < cut <= end)

    def read(self, slot: int, ticket: Ticket, end: int) -> None:
        """Read the next rows of a prompt, and cache the voice and context before its text."""
        request = ticket.request
        rows = request.rows[ticket.num_read : end]
        self._with_room(lambda: self.runner.prefill(slot, rows))
        self.num_rows += end - ticket.num_read
        if request.cache_context and end in request.part_ends[-2:-1]:
            rows, ends = request.rows[:end], tuple(cut for cut in ticket.ends if cut <= end)
            if self.cache.max_bytes and not self.cache.has(rows, ends):
                self._cache(rows, ends, slot)

    def step(self, slots: Sequence[int], tickets: Sequence[Ticket]) -> NDArray[np.int32]:
        """The next frame (B, K) of each ticket.

        Raises:
            BrokenSlotsError: see `Runner.step`.
            DeviceMemoryError: there is no memory, even without cached prefixes. Calls with other
                tickets may follow, or with the same ones.
        """
        draws = [
            Draw(
                slot=slot,
                sampling=ticket.request.sampling,
                frame=ticket.request.first_frame + ticket.num_frames,
                stop_bias=ticket.guard.stop_bias if ticket.guard else 0.0,
            )
            for slot, ticket in zip(slots, tickets, strict=True)
        ]
        return self._with_room(lambda: self.runner.step(draws))

    def stops(self, slots: Sequence[int]) -> NDArray[np.float32]:
        """Log-probabilities (B,) of a stop in the latest step: see `Runner.stops`."""
        return self.runner.stops(slots)

    def decode(self, slots: Sequence[int], codes: NDArray[np.int32]) -> NDArray[np.float32]:
        """Audio (B, frame_size) of the next frame (B, K) of each slot.

        Raises:
            DeviceMemoryError: as `step` does.
        """
        return self._with_room(lambda: self.runner.decode(slots, codes))

    def cache_reply(self, slot: int, request: Request, frames: Sequence[NDArray[np.int32]]) -> None:
        """Cache a prompt with the frames (K,) of its reply that were read, for the next turn.

        Only a row-invariant runner can: others compute rows of a prompt and of a reply differently.
        """
        if not (self.runner.row_invariant and self.cache.max_bytes):
            return
        said = np.full((len(frames), request.rows.shape[1]), -1, np.int32)
        for row, codes in zip(said, frames, strict=True):
            row[: len(codes)] = codes  # a runner may draw fewer codebooks than there are
        rows: Rows = np.concatenate((request.rows, said))
        self._cache(rows, (len(rows),), slot, reply_slot=slot)

    def _cache(
        self, rows: Rows, ends: Sequence[int], slot: int, *, reply_slot: int | None = None
    ) -> None:
        """Cache the first rows of a slot, unless there is no memory for them."""
        try:
            saved = self.runner.save(slot, len(rows))
        except DeviceMemoryError as error:
            log.warning("a voice or context is not kept, so it is read again: %s", error)
            self.cache.clear()
            return
        self.cache.add(rows, ends, saved, reply_slot=reply_slot)

    def _with_room(self, call: Callable[[], T]) -> T:
        """The result of a call, in the room of the cached prefixes if there is no other."""
        try:
            return call()
        except DeviceMemoryError as error:
            if not len(self.cache):
                raise
            log.warning("cached voices and contexts are dropped: %s", error)
            self.cache.clear()
        return call()
