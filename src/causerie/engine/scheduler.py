"""Assigns slots and plans each step: policy in plain Python, no tensors, no clock.

Times are seconds of the caller's clock and come in as arguments.

- Requests get slots by priority, then those of the client with the fewest slots, or else of the one
  that was served least recently, then replies that continue, then in order of arrival. The queue is
  bounded, except for replies that continue. When it is full, the client with the most requests
  gives a place to one with fewer.
- Prompts are read in that order too, and a request speaks in the step in which its prompt is
  complete. While a listener's audio plays, a step reads few rows, but at least a chunk of the first
  reader; otherwise it reads whole prompts.
- Every step computes a frame of each request that is ready. While a listener is close to an
  underrun, requests with a comfortable lead wait, and so do those without a listener, but for a
  few steps at most.
"""

from __future__ import annotations

import bisect
import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from causerie.engine.request import Request, State, Ticket
from causerie.errors import DeadlineError, QueueFullError

#: A lead below this many measured steps (or one frame) is close to an underrun.
MARGIN_STEPS = 2.0
#: A lead of this many margins is comfortable.
COMFORTABLE = 2.0
#: A request that is ready waits at most this many steps.
MAX_SKIPPED = 8
#: Rows that a step reads while audio plays; the first reader reads a whole chunk in any case.
ROWS_WHILE_PLAYING = 64
#: Seconds of reading for later requests that delay a listener whose prompt is complete.
WAIT_FOR_OTHERS_S = 0.04
#: Clients whose latest slot is remembered.
MAX_CLIENTS = 1_024
#: Weight of the latest measurement in a moving average.
LATEST = 0.25


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The work of one step.

    Attributes:
        reads: tickets, each with the row up to which its prompt is read.
        speaks: tickets that get a frame, after the reads.
    """

    reads: list[tuple[Ticket, int]]
    speaks: list[Ticket]


class Scheduler:
    """The queue, the slots and the state of each ticket.

    Args:
        max_queue: requests that may wait for a slot.
        frame_s: seconds of audio in a frame.
    """

    def __init__(self, num_slots: int, *, max_queue: int, frame_s: float) -> None:
        self.num_slots, self.max_queue, self.frame_s = num_slots, max_queue, frame_s
        self.waiting: list[Ticket] = []  # in order
        self.active: dict[int, Ticket] = {}  # by slot
        self.step_s = 0.0
        self.row_s: float | None = None
        self._free = list(range(num_slots))  # a heap: low slots first
        self._num_arrived = self._num_admitted = 0
        self._served: dict[str | None, int] = {}  # latest admission of each client, oldest first

    # -- arrivals and departures ---------------------------------------------------------------

    def submit(self, request: Request, now: float) -> Ticket:
        """Queue a request.

        Raises:
            QueueFullError: too many requests wait.
        """
        if self._is_full(request):
            raise QueueFullError(
                f"{len(self.waiting)} requests wait for one of {self.num_slots} streams, and the "
                f"queue is full: try again later, or allow more streams or a longer queue",
                num_waiting=len(self.waiting),
            )
        ticket = Ticket(number=self._num_arrived, request=request, arrived=now)
        self._num_arrived += 1
        bisect.insort(self.waiting, ticket, key=lambda ticket: ticket.order)
        return ticket

    def make_room(self, request: Request) -> Ticket | None:
        """Fail a waiting ticket if the queue is full and its client has more than its share.

        The client with the most requests loses its latest one. It keeps at least as many as the
        client of `request` then has.

        Returns:
            The failed ticket; None if there is room, or no client has more than its share.
        """
        if not self._is_full(request):
            return None
        nums = Counter(t.request.client for t in (*self.waiting, *self.active.values()))
        candidates = [
            ticket
            for ticket in self.waiting
            if not ticket.request.continues
            and ticket.request.priority <= request.priority
            and nums[ticket.request.client] > nums[request.client] + 1
        ]
        if not candidates:
            return None
        latest = max(candidates, key=lambda ticket: (nums[ticket.request.client], ticket.order))
        message = (
            f"the queue is full, and this client had {nums[latest.request.client]} requests in "
            f"it: its latest one gave its place to another client; try again later"
        )
        self.finish(latest, State.FAILED, QueueFullError(message, num_waiting=len(self.waiting)))
        return latest

    def _is_full(self, request: Request) -> bool:
        num_places = self.max_queue + len(self._free)  # free slots are taken in the next step
        return len(self.waiting) >= num_places and not request.continues

    def admit(self, now: float) -> list[Ticket]:
        """Assign free slots to waiting tickets; returns these tickets."""
        admitted = []
        num_slots = Counter(ticket.request.client for ticket in self.active.values())
        while self._free and self.waiting:
            ticket = min(self.waiting, key=lambda ticket: self._order(ticket, num_slots))
            self.waiting.remove(ticket)
            client = ticket.request.client
            num_slots[client] += 1
            self._served.pop(client, None)
            self._served[client] = self._num_admitted = self._num_admitted + 1
            if len(self._served) > MAX_CLIENTS:
                del self._served[next(iter(self._served))]
            ticket.slot, ticket.state = heapq.heappop(self._free), State.READING
            ticket.admitted = max(now, ticket.arrived)
            self.active[ticket.slot] = ticket
            admitted.append(ticket)
        return admitted

    def _order(self, ticket: Ticket, num_slots: Counter[str | None]) -> tuple[float, ...]:
        """Sort key among the tickets of all clients: lower goes first.

        Args:
            num_slots: slots of each client.
        """
        client, (priority, *order) = ticket.request.client, ticket.order
        return priority, num_slots[client], self._served.get(client, 0), *order

    def finish(self, ticket: Ticket, state: State, error: BaseException | None = None) -> None:
        """Finish a request in any state and free its slot; no effect on a finished one."""
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
        """Fail the tickets that missed the deadline of their first audio; returns them."""
        late = [
            ticket
            for ticket in (*self.waiting, *self.active.values())
            if ticket.request.deadline_s is not None
            and ticket.first_sound_s is None
            and now - ticket.arrived > ticket.request.deadline_s
        ]
        for ticket in late:
            place = "waited for a stream" if ticket.slot is None else "began, but had no audio"
            message = (
                f"the request {place} for {now - ticket.arrived:.2f} s, and had "
                f"{ticket.request.deadline_s:g} s to the first audio: try again when the load is "
                f"lower, or set a longer deadline"
            )
            self.finish(ticket, State.FAILED, DeadlineError(message))
        return late

    # -- a step --------------------------------------------------------------------------------

    def plan(self, now: float) -> Plan:
        """The work of the next step; empty only if no request has a slot."""
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
        """Rows that may be read while the least lead of a listener is `lead_s`."""
        if not self.row_s:  # unknown, or the clock is too coarse for it
            return ROWS_WHILE_PLAYING
        spare_s = min((lead_s - self.margin_s) / 2, self.frame_s)  # the others wait meanwhile
        return max(ROWS_WHILE_PLAYING, int(spare_s / self.row_s))

    @staticmethod
    def _read_few(readers: list[Ticket], num_rows: int) -> list[tuple[Ticket, int]]:
        """Whole chunks of at most `num_rows` together, but at least one of the first reader."""
        reads: list[tuple[Ticket, int]] = []
        for ticket in readers:
            ends = [end for end in ticket.ends if 0 < end - ticket.num_read <= num_rows]
            if not reads and not ends:
                ends = [next(end for end in ticket.ends if end > ticket.num_read)]
            if not ends:
                break  # later readers do not overtake
            reads.append((ticket, ends[-1]))
            num_rows -= ends[-1] - ticket.num_read
        return reads

    def _read_whole(self, readers: list[Ticket]) -> list[tuple[Ticket, int]]:
        """Whole prompts: up to the first listener's, and some more after it."""
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
        """The ready tickets; near an underrun, only those that cannot wait."""
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

    # -- results of a step -----------------------------------------------------------------------

    def read(self, ticket: Ticket, end: int) -> None:
        """Record that a ticket's rows up to `end` are read."""
        if ticket.is_done:
            return
        assert ticket.num_read <= end <= ticket.ends[-1]
        ticket.num_read = end
        if end == ticket.ends[-1]:
            ticket.state = State.SPEAKING

    def count_frame(
        self, ticket: Ticket, now: float, *, awaited: bool = True, is_delivered: bool = True
    ) -> bool:
        """Record a ticket's next frame; returns whether it is an underrun.

        Args:
            awaited: the consumer waits for the frame; one that is busy elsewhere has no underrun.
            is_delivered: the consumer gets a frame now; False if the guard holds it back.
        """
        return ticket.count_frame(now, self.frame_s, awaited, is_delivered)

    def count_step(self, spoke: Iterable[Ticket]) -> None:
        """Count a skipped step for each ready ticket that is not among those that spoke."""
        spoken = set(spoke)
        for ticket in self.active.values():
            if ticket.state is State.SPEAKING and ticket not in spoken:
                ticket.num_skipped += 1

    def measure(self, step_s: float, num_rows: int, read_s: float) -> None:
        """Update the average durations of a step and of a row.

        Args:
            step_s: duration of the step without its reads.
            num_rows: rows that were read in `read_s`.
        """
        self.step_s += (LATEST if self.step_s else 1.0) * (step_s - self.step_s)
        if num_rows:
            latest = read_s / num_rows
            before = latest if self.row_s is None else self.row_s
            self.row_s = before + LATEST * (latest - before)
