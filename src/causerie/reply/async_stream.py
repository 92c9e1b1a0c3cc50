"""A reply for asyncio, whose text may still be written while it is spoken.

Each turn is a request to an `AsyncEngine`. The next turn begins once all audio of this one is
taken, so a slow listener delays only its own reply. If the reply is verified, a task generates and
checks the next turn meanwhile. Does not know files or networks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from causerie.audio.audio import Stopped
from causerie.engine.aio import AsyncEngine, RequestStream
from causerie.engine.handle import Handle
from causerie.engine.request import Sampling
from causerie.errors import CancelledError
from causerie.reply.attempts import Attempts
from causerie.reply.reply import Reply, Verifying
from causerie.reply.turn import Turn
from causerie.reply.turns import Turns
from causerie.watermark.mark import Marker

T = TypeVar("T")

#: How a reply ended: as `Reply.stopped`, or it was closed, or an error was raised.
Outcome: TypeAlias = Literal[Stopped, "cancelled", "error"]


class ReplyObserver(Protocol):
    """Is called as a reply is handed out, for example to count it."""

    def on_chunk(self, reply: AsyncStream, num_samples: int) -> None:
        """Called for each chunk, before the listener gets it."""

    def on_end(self, reply: AsyncStream, outcome: Outcome) -> None:
        """Called once: at the end, on an error, on close, or when the reply is dropped."""


class AsyncStream(Reply, AsyncIterator[NDArray[np.float32]]):
    """Speech while it is generated, for one task: an iterator over chunks (N,), fp32.

    Another task may close it; the iteration then ends, and `stopped` stays None.

    Attributes:
        observer: is called for each chunk and at the end. Set it before the first chunk.
        queued: when the turn of the first chunk was queued and when it got its slot, by
            `time.perf_counter`; None until the first chunk, and if that is a pause.
    """

    def __init__(
        self,
        running: AsyncEngine,
        turns: Turns,
        sampling: Sampling,
        started: float,
        marker: Marker | None,
        *,
        deadline_s: float | None = None,
        continues: bool = False,
        client: str | None = None,
        speed: float = 1.0,
        verifying: Verifying | None = None,
    ) -> None:
        super().__init__(running.engine, sampling, turns.notes, started, marker, speed, verifying)
        self._deadline_s, self._continues, self._client = deadline_s, continues, client
        self.observer: ReplyObserver | None = None
        self.queued: tuple[float, float] | None = None
        self._source: tuple[AsyncEngine, Turns] | None = (running, turns)  # until the end
        self._counts = (0, 0)  # text tokens and context frames, after the end
        self._speech: RequestStream | None = None  # of the current turn
        self._cut: Handle | None = None  # of the turn that was cut off
        self._waiting: asyncio.Future[Turn | None] | None = None  # for the next turn
        self._next: asyncio.Task[Attempts | None] | None = None  # the verified turn after it
        self._next_handle: Handle | None = None  # of that turn's latest attempt
        self._is_spoken = asyncio.Event()  # the listener has all audio of the turns so far
        self._is_spoken.set()

    @property
    def num_text_tokens(self) -> int:
        """Text tokens so far."""
        return self._counts[0] if self._source is None else self._source[1].num_text_tokens

    @property
    def num_context_frames(self) -> int:
        """Frames of the voice and the context."""
        return self._counts[1] if self._source is None else self._source[1].num_context_frames

    async def begin(self) -> None:
        """Submit the first turn now, so that its errors are raised before any sound.

        Raises:
            QueueFullError: too many replies wait.
        """
        how = self._verifying
        if how is None or not how.holds_first:
            await self._begin_turn()
            return
        turn = await self._next_turn()
        if turn is None:  # a text without a word
            return
        attempts = self._new_attempts(turn, [])
        self._prepare(self._verified(attempts, [], self._submit(attempts, [])))

    async def __anext__(self) -> NDArray[np.float32]:
        """The next chunk, once it is ready.

        Raises:
            CauserieError: the reason why the reply cannot go on.
        """
        try:
            chunk = await self._next_chunk()
        except BaseException as error:
            was_over = self._is_over
            cancelled = isinstance(error, asyncio.CancelledError)
            await self._close("cancelled" if cancelled else "error")
            if not was_over:
                raise
            chunk = None
        if chunk is None:
            self._finish(self.stopped or "cancelled")
            raise StopAsyncIteration
        if self.first_sound_ms is None:
            self.first_sound_ms = 1000 * (time.perf_counter() - self._started)
            ticket = None if self._speech is None else self._speech.handle.ticket
            if ticket is not None and ticket.admitted is not None:
                self.queued = (ticket.arrived, ticket.admitted)
        if self.observer is not None:
            self.observer.on_chunk(self, len(chunk))
        return chunk

    async def spoken(self) -> None:
        """Wait until all audio of the text that was read so far is handed out."""
        await self._is_spoken.wait()

    async def aclose(self) -> None:
        """Stop generating; the slot is free at the engine's next step."""
        await self._close("cancelled")

    async def _close(self, outcome: Outcome) -> None:
        speech = self._speech
        for task in (self._waiting, self._next):
            if task is not None:
                task.cancel()
        self._finish(outcome)
        if speech is not None:
            await speech.aclose()

    @property
    def _handle(self) -> Handle | None:
        return self._cut if self._speech is None else self._speech.handle

    def __del__(self) -> None:
        if hasattr(self, "_next_handle"):
            self._finish("cancelled")

    def _finish(self, outcome: Outcome) -> None:
        """Release the model, so that keeping the reply for its context does not keep the model."""
        self._is_over = True
        if self._source is None:
            return
        self._counts = (self.num_text_tokens, self.num_context_frames)
        running, _ = self._source
        self._cut, self._source, self._speech = self._handle, None, None
        if self._next_handle is not None:
            running.engine.abandon(self._next_handle)
        self._next = self._next_handle = None
        observer, self.observer = self.observer, None
        if observer is not None:
            observer.on_end(self, outcome)

    async def _next_chunk(self) -> NDArray[np.float32] | None:
        """The next chunk of this turn or of the next one; None at the end."""
        while not self._is_over and (self._speech is not None or await self._begin_turn()):
            speech = self._speech
            assert speech is not None
            if self._pause is not None:
                return self._take_pause()
            started = time.perf_counter()
            chunk = await anext(speech, None)
            self._busy_s += time.perf_counter() - started
            if chunk is not None:
                self._count_chunk(chunk)
                chunk = self._delivery.speech(chunk)
            elif self._count_turn(speech.handle):
                self._speech = self._cut = None
                chunk = self._delivery.end_turn()
            else:
                assert self._attempts is not None
                self._speak(self._submit(self._attempts, self._codes))
                continue
            if len(chunk):
                return chunk
        return self._take_pause() if self._pause is not None and not self._is_over else None

    async def _begin_turn(self) -> bool:
        """Submit the next turn once its text is there; returns False at the end of the text."""
        if self.stopped is not None:
            return False
        assert self._source is not None
        self._is_spoken.set()
        how = self._verifying
        if how is not None and (how.holds_first or self._codes):
            attempts = await self._verified_turn()
            handle = None if attempts is None else attempts.handle
        else:
            turn = await self._next_turn()
            attempts = None if turn is None else self._new_attempts(turn, self._codes)
            handle = None if attempts is None else self._submit(attempts, self._codes)
        if attempts is None:
            if self._source is not None:
                self._record_end(self._source[1].tail)
            return False
        assert handle is not None
        self._record_turn(attempts)
        self._speak(handle)
        return True

    async def _next_turn(self) -> Turn | None:
        """The next turn, once its text is there."""
        assert self._source is not None
        self._waiting = asyncio.ensure_future(self._source[1].next_turn(self._codes))
        try:
            return await self._waiting
        finally:
            self._waiting = None

    def _speak(self, handle: Handle) -> None:
        """Deliver a turn, and prepare the next one meanwhile."""
        assert self._source is not None
        running, turns = self._source
        self._speech = RequestStream(running.engine, handle, self._sizes)
        self._is_spoken.clear()
        if self._verifying is not None:
            self._prepare(self._next_attempts(turns, [*self._codes], handle))

    def _prepare(self, work: Coroutine[Any, Any, Attempts | None]) -> None:
        """Generate and verify a turn in a task."""
        if self._next is not None:
            self._next.cancel()
        self._next = asyncio.ensure_future(work)
        self._next.add_done_callback(_retrieve)

    async def _verified_turn(self) -> Attempts | None:
        """The next turn, once it is verified; None at the end."""
        assert self._source is not None
        if self._next is None or (self._codes and not self._codes[-1].shape[1]):
            self._prepare(self._next_attempts(self._source[1], self._codes))
        assert self._next is not None
        attempts = await self._next
        self._next = None
        if attempts is not None:
            self._busy_s += attempts.busy_s
        return attempts

    def _submit(self, attempts: Attempts, spoken: Sequence[Tensor]) -> Handle:
        if self._source is None:
            raise CancelledError("the reply was closed: there is no more audio")
        handle = self._source[0].submit(self._request(attempts, spoken, is_live=True))
        if attempts.is_checked:
            self._next_handle = handle
        return handle

    def _abandon(self, handle: Handle) -> None:
        if self._source is not None:  # at the end, `_finish` has done it
            self._source[0].engine.abandon(handle)

    async def _finished(self, handle: Handle) -> None:
        assert self._source is not None
        await self._source[0].finished(handle)

    async def _checked(self, check: Future[T]) -> T:
        return await asyncio.wrap_future(check)


def _retrieve(task: asyncio.Task[Attempts | None]) -> None:
    """Take the error of a task that nobody may await, so that asyncio does not report it."""
    if not task.cancelled():
        task.exception()
