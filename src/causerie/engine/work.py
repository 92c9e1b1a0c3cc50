"""What one step asks of the runner: prompts begun and read, frames drawn and sounded.

Knows slots, rows and kept prefixes; nothing of queues, threads or listeners. Failures pass through.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from causerie.engine.prefix import Prefixes
from causerie.engine.request import Request, Ticket
from causerie.engine.runner import Draw, Rows, Runner


class Work:
    """A runner, and the prefixes that are kept for it. One thread at a time.

    Attributes:
        num_rows: read so far.
    """

    def __init__(self, runner: Runner, prefixes: Prefixes) -> None:
        self.runner, self.prefixes = runner, prefixes
        self.num_rows = 0

    def begin(self, slot: int, ticket: Ticket) -> int:
        """Let a slot begin with rows that are kept, if there are any; how many."""
        found = self.prefixes.find(ticket.request.rows, ticket.ends)
        if found is None:
            return 0
        saved, num_rows = found
        self.runner.load(slot, saved, num_rows)
        return num_rows

    def cuts(self, ticket: Ticket, end: int) -> list[int]:
        """Where to cut the rows that are read next, up to `end`.

        Where results do not depend on that, only where something is worth keeping.
        """
        cuts = ticket.ends
        if self.runner.row_invariant:
            cuts = tuple({*ticket.request.part_ends[-2:-1], end})
        return sorted(cut for cut in cuts if ticket.num_read < cut <= end)

    def read(self, slot: int, ticket: Ticket, end: int) -> None:
        """Read the next rows of a prompt, and keep all that is before the text to be spoken."""
        request = ticket.request
        self.runner.prefill(slot, request.rows[ticket.num_read : end])
        self.num_rows += end - ticket.num_read
        if len(request.part_ends) > 1 and end == request.part_ends[-2]:
            ends = tuple(cut for cut in ticket.ends if cut <= end)
            self._keep(slot, request.rows[:end], ends)

    def draw(self, slots: Sequence[int], tickets: Sequence[Ticket]) -> NDArray[np.int32]:
        """The next frame (B, K) of each."""
        return self.runner.step(
            [
                Draw(
                    slot=slot,
                    sampling=ticket.request.sampling,
                    frame=ticket.request.first_frame + ticket.num_frames,
                )
                for slot, ticket in zip(slots, tickets, strict=True)
            ]
        )

    def keep_reply(self, slot: int, request: Request, frames: Sequence[NDArray[np.int32]]) -> None:
        """Keep a prompt and the frames (K,) of its reply that were read, for the next turn.

        Only where rows do not depend on how they were read: one by one, or as a prompt.
        """
        if not self.runner.row_invariant:
            return
        said = np.full((len(frames), request.rows.shape[1]), -1, np.int32)
        for row, codes in zip(said, frames, strict=True):
            row[: len(codes)] = codes  # a runner may draw fewer codebooks than there are
        rows = np.concatenate((request.rows, said))
        self._keep(slot, rows, (len(rows),))

    def _keep(self, slot: int, rows: Rows, ends: Sequence[int]) -> None:
        if self.prefixes.max_bytes and not self.prefixes.has(rows, ends):
            self.prefixes.add(rows, ends, self.runner.save(slot, len(rows)))
