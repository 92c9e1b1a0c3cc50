"""Many requests, one runner: schedule → run → deliver, step by step.

The engine has no thread. A thread that waits for audio runs `step` for all requests; threads that
arrive meanwhile block until that step ends and take its output. So threads that each generate a
reply share batches. (`causerie.engine.aio` steps in a thread of its own.)

A lock guards the scheduler and the handles. It is never held during a computation, so `submit` and
`cancel` return at once. The runner needs no lock: one thread steps at a time.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from causerie.engine.cached_runner import CachedRunner
from causerie.engine.guard import Guard
from causerie.engine.handle import Handle
from causerie.engine.interrupts import deferred_interrupt, register_fork
from causerie.engine.prefix import PrefixCache
from causerie.engine.preparing import Preparing
from causerie.engine.request import Request, State, Ticket
from causerie.engine.runner import BrokenSlotsError, Runner
from causerie.engine.scheduler import Scheduler
from causerie.engine.stats import Stats
from causerie.errors import CancelledError, ConfigError, DeviceMemoryError, EngineError

#: Requests that may wait for a slot.
MAX_QUEUE = 256
#: Memory of the prefix cache: 8,192 rows of csm-1b in bf16.
PREFIX_BYTES = 2**28


class Engine:
    """Serves requests with the slots of a runner.

    Args:
        max_queue: requests that may wait for a slot.
        prefix_bytes: memory of the prefix cache; 0 turns it off.
        clock: in seconds; leads and deadlines are measured with it.
    """

    def __init__(
        self,
        runner: Runner,
        *,
        max_queue: int = MAX_QUEUE,
        prefix_bytes: int = PREFIX_BYTES,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.runner, self.clock = runner, clock
        self.frame_s = 1 / runner.frame_rate
        self.prefixes = PrefixCache(prefix_bytes, row_invariant=runner.row_invariant)
        self._cached = CachedRunner(runner, self.prefixes)
        self._scheduler = Scheduler(runner.num_slots, max_queue=max_queue, frame_s=self.frame_s)
        self._handles: dict[Ticket, Handle] = {}  # of all unfinished requests
        self._abandoned: deque[Handle] = deque()
        self._stats = Stats()
        self._changed = threading.Condition()
        self._is_stepping = self._is_broken = False
        self._preparing: Preparing | None = None
        register_fork(self)

    def after_fork(self) -> None:
        """See `Forked`. A step of another thread never ends in the child."""
        self._changed = threading.Condition()
        self._is_broken, self._is_stepping = self._is_stepping, False

    # -- for callers -----------------------------------------------------------------------------

    @property
    def preparing(self) -> Preparing:
        """What the runner may do before the first reply; nothing is done unless it is called."""
        with self._changed:
            if self._preparing is None:
                self._preparing = Preparing(self)
            return self._preparing

    def submit(self, request: Request) -> Handle:
        """Queue a request; in a full queue, one of a client with more requests may fail for it.

        Raises:
            QueueFullError: too many requests wait.
            EngineError: this process was forked during a step.
            ConfigError: the request exceeds the positions of the model.
        """
        num_rows = len(request.rows) + request.max_frames - 1  # the last frame is not read
        if num_rows > self.runner.max_rows:
            raise ConfigError(
                f"a prompt of {len(request.rows):,} rows and a reply of {request.max_frames:,} "
                f"frames exceed the {self.runner.max_rows:,} positions of the model: cut either"
            )
        self._check_process()
        with deferred_interrupt(), self._changed:
            self._cancel_abandoned()
            failed = self._scheduler.make_room(request)
            displaced = None if failed is None else self._handles[failed]
            if failed is not None:
                self._finished(failed)
            ticket = self._scheduler.submit(request, self.clock())
            if request.length is not None:
                ticket.guard = Guard(request.length, self.frame_s)
            handle = Handle(ticket)
            self._handles[handle.ticket] = handle
            self._stats.num_requests += 1
            self._changed.notify_all()
        if displaced is not None:
            displaced.notify()
        return handle

    def cancel(self, handle: Handle) -> None:
        """Stop a request; its slot is free for the next step. A finished request stays as it is."""
        with deferred_interrupt():
            with self._changed:
                self._cancel(handle)
                self._changed.notify_all()
            handle.notify()

    def abandon(self, handle: Handle) -> None:
        """`cancel` without a lock, safe to call from `__del__`.

        It takes effect at the next step or the next call of `submit` or `stats`.
        """
        self._abandoned.append(handle)

    def wait(self, handle: Handle, num_frames: int = 1) -> None:
        """Step until a request has `num_frames` frames to take, or has finished."""

        def is_ready() -> bool:
            return handle.is_ready(num_frames)

        with self._changed:
            handle.ticket.restart_late_playback(self.clock())
            handle.is_awaited = True
        try:
            while not is_ready():
                self.step(unless=is_ready)
        finally:
            handle.is_awaited = False

    def finish(self, handle: Handle) -> None:
        """Step until a request has finished, for a caller that is not its listener."""
        while not handle.is_done:
            self.step(unless=lambda: handle.is_done)

    def wait_for_work(self, unless: Callable[[], bool]) -> bool:
        """Sleep until there are requests or `unless` holds; returns whether there are requests."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._handles) or unless())
            return bool(self._handles)

    def wake(self) -> None:
        """Make threads that sleep in `wait_for_work` check again."""
        with self._changed:
            self._changed.notify_all()

    def cancel_all(self) -> None:
        """Cancel all unfinished requests."""
        for handle in self._unfinished():
            self.cancel(handle)

    def stats(self) -> Stats:
        """A snapshot of the counters."""
        with self._changed:
            self._cancel_abandoned()
            return dataclasses.replace(
                self._stats,
                active=len(self._scheduler.active),
                waiting=len(self._scheduler.waiting),
                batch_sizes=Counter(self._stats.batch_sizes),
                done=Counter(self._stats.done),
                failures=Counter(self._stats.failures),
                guarded=Counter(self._stats.guarded),
                num_rows=self._cached.num_rows,
                num_prefix_hits=self.prefixes.num_hits,
                num_rows_saved=self.prefixes.num_rows_saved,
                prefix_bytes=self.prefixes.num_bytes,
            )

    @contextmanager
    def turn(self, *, idle_s: float | None = None) -> Iterator[bool]:
        """Keep steps out, so that the block may use the runner.

        Args:
            idle_s: seconds to wait for the engine to be idle. Yields whether it is; if not, steps
                are not kept out. None: wait for the end of the current step.
        """

        def is_free() -> bool:
            self._cancel_abandoned()
            return not self._is_stepping and (idle_s is None or not self._handles)

        self._check_process()
        with self._changed:
            has_turn = self._changed.wait_for(is_free, idle_s)
            if has_turn:
                self._is_stepping = True
        try:
            yield has_turn
        finally:
            if has_turn:
                with self._changed:
                    self._is_stepping = False
                    self._changed.notify_all()

    # -- a step ----------------------------------------------------------------------------------

    def step(self, unless: Callable[[], bool] = lambda: False) -> bool:
        """Compute the next frame of each scheduled request; False if there was nothing to do.

        Args:
            unless: checked once it is this thread's turn; if it holds, nothing is computed.
        """
        self._check_process()
        with deferred_interrupt():
            return self._step_once(unless)

    def _step_once(self, unless: Callable[[], bool]) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_stepping or unless())
            if self._is_stepping or unless() or not self._handles:
                return False
            self._is_stepping = True
            touched = list(self._handles.values())
        try:
            self._step(touched)
        except BaseException as error:  # fail all requests, or their consumers would wait forever
            reason = EngineError(f"the engine was stopped in the middle of a step: {error!r}")
            reason.__cause__ = error
            with self._changed:
                touched += [h for h in self._handles.values() if h not in touched]
                for ticket in list(self._handles):
                    self._finish(ticket, State.FAILED, reason)
            raise
        finally:
            with self._changed:
                self._is_stepping = False
                self._changed.notify_all()
            for handle in touched:
                handle.notify()
        return True

    def _step(self, touched: list[Handle]) -> None:
        """Schedule, run, deliver. Slots that become free are assigned in the next step.

        Args:
            touched: those that are notified at the end; requests that came since are added.
        """
        started = self.clock()
        with self._changed:
            self._cancel_abandoned()
            for ticket in self._scheduler.expire(started):
                self._finished(ticket)
            admitted = self._scheduler.admit(started)
            touched += [h for t in admitted if (h := self._handles[t]) not in touched]
            slots = {ticket: slot for slot, ticket in self._scheduler.active.items()}
        for ticket in admitted:
            with self._failing(ticket):
                self._cached.reset(slots[ticket])
        for ticket, slot in slots.items():
            self._load_prefix(slot, ticket)
        with self._changed:
            plan = self._scheduler.plan(self.clock())
        num_rows, read_at = self._cached.num_rows, self.clock()
        for ticket, end in plan.reads:
            self._read(slots[ticket], ticket, end)
        num_rows, spoke_at = self._cached.num_rows - num_rows, self.clock()
        speaking = [ticket for ticket in plan.speaks if ticket.state is State.SPEAKING]
        if speaking:
            self._speak([slots[ticket] for ticket in speaking], speaking)
        with self._changed:
            ended = self.clock()
            self._scheduler.count_step(speaking)
            self._scheduler.measure(ended - spoke_at, num_rows, spoke_at - read_at)
            self._stats.batch_sizes[len(speaking)] += bool(speaking)
            self._stats.num_steps += 1
            self._stats.step_s += ended - started
            self._stats.last_step_s = ended - started

    def _load_prefix(self, slot: int, ticket: Ticket) -> None:
        """Load a cached prefix, where no row was read yet and the cache has changed."""
        version = self.prefixes.version
        if ticket.num_read or ticket.is_done or ticket.checked_version == version:
            return
        ticket.checked_version = version
        with self._failing(ticket):
            num_rows = self._cached.load_prefix(slot, ticket)
            with self._changed:
                self._scheduler.read(ticket, num_rows)

    def _read(self, slot: int, ticket: Ticket, end: int) -> None:
        self._load_prefix(slot, ticket)  # a read in this step may have cached something
        for cut in self._cached.cuts(ticket, end):
            if not ticket.is_done:
                with self._failing(ticket):
                    self._cached.read(slot, ticket, cut)
                    with self._changed:
                        self._scheduler.read(ticket, cut)

    def _speak(self, slots: list[int], tickets: list[Ticket]) -> None:
        """Compute and deliver the next frame of each ticket, and end complete replies."""
        with self._failing(*tickets):
            try:
                codes = self._draw(slots, tickets)
            except DeviceMemoryError as error:
                self._fail_latest(tickets, error)
                return  # the others draw this frame in the next step
            rows = [row for row, ticket in enumerate(tickets) if not ticket.is_done]
            stops = self._cached.stops(slots)
            ended = [row for row in rows if _is_stop(tickets[row], codes[row], stops[row])]
            sounding = [row for row in rows if row not in ended]
            for row in ended:
                self._end(slots[row], tickets[row], State.ENDED)
            if sounding:
                self._decode(
                    [slots[row] for row in sounding],
                    [tickets[row] for row in sounding],
                    codes[sounding],
                )

    def _draw(self, slots: list[int], tickets: list[Ticket]) -> NDArray[np.int32]:
        """Codes (B, K); tickets whose slot is broken fail."""
        try:
            return self._cached.step(slots, tickets)
        except BrokenSlotsError as error:
            with self._changed:
                for slot, ticket in zip(slots, tickets, strict=True):
                    if slot in error.slots:
                        self._finish(ticket, State.FAILED, error)
            return error.codes

    def _decode(
        self, slots: list[int], tickets: Sequence[Ticket], codes: NDArray[np.int32]
    ) -> None:
        try:
            audio = self._cached.decode(slots, codes)
        except DeviceMemoryError as error:
            latest = self._fail_latest(tickets, error)
            rows = [row for row, ticket in enumerate(tickets) if ticket is not latest]
            if rows:
                self._decode(
                    [slots[row] for row in rows], [tickets[row] for row in rows], codes[rows]
                )
            return
        cut: list[Ticket] = []
        with self._changed:
            now = self.clock()
            for ticket, frame, samples in zip(tickets, codes, audio, strict=True):
                if not ticket.is_done:
                    handle = self._handles[ticket]
                    num_held = 0
                    if ticket.guard is not None:
                        if ticket.guard.is_last(frame, samples):
                            cut.append(ticket)
                        num_held = ticket.guard.num_held
                    is_delivered = num_held == handle.num_held  # this frame, or an earlier one
                    handle.put(frame, samples, num_held)
                    late = self._scheduler.count_frame(
                        ticket, now, awaited=handle.is_awaited, is_delivered=is_delivered
                    )
                    self._stats.num_underruns += late
                    self._stats.num_frames += 1
        for slot, ticket in zip(slots, tickets, strict=True):
            if ticket in cut:
                self._end(slot, ticket, State.GUARD)
            elif ticket.num_frames == ticket.request.max_frames:
                self._end(slot, ticket, State.LIMIT)

    def _fail_latest(self, tickets: Sequence[Ticket], error: DeviceMemoryError) -> Ticket:
        """End the latest of several requests, whose memory does not suffice for all."""
        latest = max(tickets, key=lambda ticket: ticket.number)
        with self._changed:
            self._finish(latest, State.FAILED, error)
        return latest

    def _end(self, slot: int, ticket: Ticket, state: State) -> None:
        """End a complete reply. Unless the model ended it, the last frame was not read."""
        with self._failing(ticket):
            handle = self._handles.get(ticket)
            if handle is not None:  # None: it was cancelled meanwhile
                num_read = len(handle.frames) - (state is not State.ENDED)
                if ticket.guard is not None and ticket.guard.reason is not None and handle.num_held:
                    handle.replace_held(ticket.guard.cut(handle.held()))
                if ticket.request.cache_reply:
                    self._cached.cache_reply(slot, ticket.request, handle.frames[:num_read])
        with self._changed:
            self._finish(ticket, state)

    def _check_process(self) -> None:
        if self._is_broken:
            raise EngineError(
                "this process was forked while another thread was speaking: load the model after "
                "the fork, by TTS.from_pretrained in each process"
            )

    # -- ends of requests; the caller holds the lock -----------------------------------------------

    @contextmanager
    def _failing(self, *tickets: Ticket) -> Iterator[None]:
        """An error in here fails these requests only."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 `Handle.take` raises it
            with self._changed:
                for ticket in tickets:
                    self._finish(ticket, State.FAILED, error)

    def _cancel_abandoned(self) -> None:
        while self._abandoned:
            self._cancel(self._abandoned.popleft())

    def _cancel(self, handle: Handle) -> None:
        error = CancelledError("the request was cancelled: there is no more audio")
        self._finish(handle.ticket, State.CANCELLED, error)

    def _finish(self, ticket: Ticket, state: State, error: BaseException | None = None) -> None:
        if not ticket.is_done:
            self._scheduler.finish(ticket, state, error)
            self._finished(ticket)

    def _finished(self, ticket: Ticket) -> None:
        del self._handles[ticket]
        self._stats.done[ticket.state.value] += 1
        if ticket.guard is not None and ticket.guard.reason is not None:
            self._stats.guarded[ticket.guard.reason] += 1
        if ticket.state is State.FAILED:
            self._stats.failures[type(ticket.error).__name__] += 1

    def _unfinished(self) -> list[Handle]:
        with self._changed:
            return list(self._handles.values())


def _is_stop(ticket: Ticket, codes: NDArray[np.int32], stop: np.float32) -> bool:
    """Whether a frame (K,) ends the speech; `stop` is the log-probability of a stop."""
    guard: Guard | None = ticket.guard
    return guard.is_stop(codes, float(stop)) if guard else not codes.any()
