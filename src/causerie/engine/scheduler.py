"""Who gets a slot, who reads which rows, who speaks: policy in plain Python, no tensors, no clock.

Times are seconds of whatever clock the caller has, and come in as arguments.

- Slots are given in order: by priority, then to replies that go on, then first come, first
  served. The queue is bounded for all but those that go on.
- Prompts are read in that order too. Whoever has read its prompt speaks in the same step. While a
  listener's sound plays, few rows are read a step, but always a chunk of the oldest reader; while
  nobody's does, whole prompts.
- All who can speak do so in every step. But while a listener is close to an underrun, those with
  a comfortable lead wait, and so do those that nobody listens to; nobody for more than a few steps.
"""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from causerie.engine.request import Request, State, Ticket
from causerie.errors import DeadlineError, QueueFullError

#: A listener whose lead is below so many measured steps (or one frame) is close to an underrun.
MARGIN_STEPS = 2.0
#: A lead of so many margins is comfortable.
COMFORTABLE = 2.0
#: For at most so many steps is a request that can speak passed over.
MAX_SKIPPED = 8
#: Rows that are read a step while sound plays, save that the oldest reader reads a chunk anyhow.
ROWS_WHILE_PLAYING = 64
#: Seconds of reading that a listener who could begin at once waits for those behind.
WAIT_FOR_OTHERS_S = 0.04
#: Weight of the latest of several measured durations.
LATEST = 0.25


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is computed in one step.

    Attributes:
        reads: tickets, and up to which of their `ends` they read.
        speaks: tickets that make a frame, after the reads.
    """

    reads: list[tuple[Ticket, int]]
    speaks: list[Ticket]


class Scheduler:
    """Tickets in their states, and the slots.

    Args:
        max_queue: requests that may wait for a slot.
        frame_s: seconds of sound to a frame.
    """

    def __init__(self, num_slots: int, *, max_queue: int, frame_s: float) -> None:
        self.num_slots, self.max_queue, self.frame_s = num_slots, max_queue, frame_s
        self.waiting: list[Ticket] = []  # in order
        self.active: dict[int, Ticket] = {}  # by slot
        self.step_s = 0.0
        self.row_s: float | None = None
        self._free = list(range(num_slots))  # a heap: low slots first
        self._num_arrived = 0

    # -- coming and going ----------------------------------------------------------------------

    def submit(self, request: Request, now: float) -> Ticket:
        """Let a request wait.

        Raises:
            QueueFullError: too many do.
        """
        num_places = self.max_queue + len(self._free)  # who gets a slot does not wait
        if len(self.waiting) >= num_places and not request.continues:
            raise QueueFullError(
                f"{len(self.waiting)} requests wait for one of {self.num_slots} streams, more may "
                f"not: try again when some are done, or allow more streams or a longer queue",
                num_waiting=len(self.waiting),
            )
        ticket = Ticket(number=self._num_arrived, request=request, arrived=now)
        self._num_arrived += 1
        bisect.insort(self.waiting, ticket, key=lambda ticket: ticket.order)
        return ticket

    def admit(self) -> list[Ticket]:
        """Give free slots to those who wait; those who got one."""
        admitted = []
        while self._free and self.waiting:
            ticket = self.waiting.pop(0)
            ticket.slot, ticket.state = heapq.heappop(self._free), State.READING
            self.active[ticket.slot] = ticket
            admitted.append(ticket)
        return admitted

    def finish(self, ticket: Ticket, state: State, error: BaseException | None = None) -> None:
        """Let a request be done, wherever it stands; its slot is free. Done is done."""
        assert state.is_done
        if ticket.is_done:
            return
        if ticket.slot is None:
            self.waiting.remove(ticket)
        else:
            del self.active[ticket.slot]
            heapq.heappush(self._free, ticket.slot)
        ticket.slot, ticket.state, ticket.error = None, state, error

    def expire(self, now: float) -> list[Ticket]:
        """Fail those who have no sound yet, and should have; those who failed."""
        late = [
            ticket
            for ticket in (*self.waiting, *self.active.values())
            if ticket.request.deadline_s is not None
            and ticket.first_sound_s is None
            and now - ticket.arrived > ticket.request.deadline_s
        ]
        for ticket in late:
            place = "waited for a stream" if ticket.slot is None else "began, but had no sound"
            message = (
                f"the request {place} for {now - ticket.arrived:.2f} s, and had "
                f"{ticket.request.deadline_s:g} s to the first sound: try again when less is going "
                f"on, or give it longer"
            )
            self.finish(ticket, State.FAILED, DeadlineError(message))
        return late

    # -- a step --------------------------------------------------------------------------------

    def plan(self, now: float) -> Plan:
        """What to compute next; empty only where no request has a slot."""
        tickets = sorted(self.active.values(), key=lambda ticket: ticket.order)
        speaking = [ticket for ticket in tickets if ticket.state is State.SPEAKING]
        readers = [ticket for ticket in tickets if ticket.state is State.READING]
        leads = [ticket.lead(now) for ticket in speaking if ticket.request.realtime]
        if leads:
            reads = self._read_few(readers, self._rows_allowed(min(leads)))
        else:
            reads = self._read_whole(readers)
        ready = [ticket for ticket, end in reads if end == ticket.ends[-1]]
        return Plan(reads=reads, speaks=self._speakers([*speaking, *ready], now))

    @property
    def margin_s(self) -> float:
        """A lead below this is close to an underrun."""
        return max(self.frame_s, MARGIN_STEPS * self.step_s)

    def _rows_allowed(self, lead_s: float) -> int:
        """Rows that may be read while the listener with the least lead has so much."""
        if not self.row_s:  # unknown, or the clock is too coarse for it
            return ROWS_WHILE_PLAYING
        spare_s = min((lead_s - self.margin_s) / 2, self.frame_s)  # all others wait meanwhile
        return max(ROWS_WHILE_PLAYING, int(spare_s / self.row_s))

    @staticmethod
    def _read_few(readers: list[Ticket], num_rows: int) -> list[tuple[Ticket, int]]:
        """Whole chunks of as many rows together, at least one of the first reader."""
        reads: list[tuple[Ticket, int]] = []
        for ticket in readers:
            ends = [end for end in ticket.ends if 0 < end - ticket.num_read <= num_rows]
            if not reads and not ends:
                ends = [next(end for end in ticket.ends if end > ticket.num_read)]
            if not ends:
                break  # who comes later does not pass
            reads.append((ticket, ends[-1]))
            num_rows -= ends[-1] - ticket.num_read
        return reads

    def _read_whole(self, readers: list[Ticket]) -> list[tuple[Ticket, int]]:
        """Whole prompts: of all that nobody listens to, and some after the first listener's."""
        reads: list[tuple[Ticket, int]] = []
        left_s = None
        for ticket in readers:
            if left_s is not None:
                left_s -= (ticket.ends[-1] - ticket.num_read) * (self.row_s or WAIT_FOR_OTHERS_S)
                if left_s < 0:
                    break
            reads.append((ticket, ticket.ends[-1]))
            if ticket.request.realtime and left_s is None:
                left_s = WAIT_FOR_OTHERS_S
        return reads

    def _speakers(self, ready: list[Ticket], now: float) -> list[Ticket]:
        """All who can speak, or those who must, should somebody be close to an underrun."""
        margin_s = self.margin_s
        if all(ticket.lead(now) >= margin_s for ticket in ready):
            return ready
        comfort_s = COMFORTABLE * margin_s
        chosen = [
            ticket
            for ticket in ready
            if ticket.lead(now) < comfort_s or ticket.num_skipped >= MAX_SKIPPED
        ]
        return sorted(chosen, key=lambda ticket: ticket.lead(now))

    # -- what was computed -----------------------------------------------------------------------

    def read(self, ticket: Ticket, end: int) -> None:
        """A ticket has read its rows up to there."""
        if ticket.is_done:
            return
        assert ticket.num_read <= end <= ticket.ends[-1]
        ticket.num_read = end
        if end == ticket.ends[-1]:
            ticket.state = State.SPEAKING

    def sounded(self, ticket: Ticket, now: float, *, awaited: bool = True) -> bool:
        """A ticket's next frame is handed out now; whether that is an underrun.

        Args:
            awaited: its listener waits for it; who is busy elsewhere misses nothing.
        """
        return ticket.sounded(now, self.frame_s, awaited)

    def stepped(self, spoke: Iterable[Ticket]) -> None:
        """Count a step for those who could have spoken, but did not."""
        spoken = set(spoke)
        for ticket in self.active.values():
            if ticket.state is State.SPEAKING and ticket not in spoken:
                ticket.num_skipped += 1

    def took(self, step_s: float, num_rows: int, read_s: float) -> None:
        """Learn from a step how long steps and rows take.

        Args:
            step_s: of the whole step, without what was read.
            num_rows: that were read, in `read_s`.
        """
        self.step_s += (LATEST if self.step_s else 1.0) * (step_s - self.step_s)
        if num_rows:
            latest = read_s / num_rows
            before = latest if self.row_s is None else self.row_s
            self.row_s = before + LATEST * (latest - before)
