"""A reply for one thread, which steps the engine while it waits for the next chunk.

If the reply is verified, a thread generates and checks the next piece while the listener hears this
one.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causerie.audio.audio import Audio
from causerie.engine.engine import Engine
from causerie.engine.handle import Handle
from causerie.engine.request import Sampling
from causerie.reply.attempts import Attempts
from causerie.reply.reply import Reply, Verifying
from causerie.reply.turns import Turns
from causerie.watermark.mark import Marker

T = TypeVar("T")


class Stream(Reply, Iterator[NDArray[np.float32]]):
    """Speech while it is generated: an iterator over chunks of samples (N,), fp32.

    `TTS.stream` returns one.
    """

    def __init__(
        self,
        engine: Engine,
        turns: Turns,
        sampling: Sampling,
        started: float,
        marker: Marker | None,
        speed: float = 1.0,
        verifying: Verifying | None = None,
    ) -> None:
        super().__init__(engine, sampling, turns.notes, started, marker, speed, verifying)
        self._engine, self._source = engine, turns
        self._is_live = True
        self._current: Handle | None = None
        self._cut: Handle | None = None  # of the turn that was cut off by `close`
        self._next: Future[Attempts | None] | None = None  # the verified turn after the current
        self._next_handle: Handle | None = None  # of that turn's latest attempt
        self._check: Future[Any] | None = None
        self._chunks: list[NDArray[np.float32]] = []

    def __next__(self) -> NDArray[np.float32]:
        """The next chunk of samples (N,)."""
        started = time.perf_counter()
        try:
            chunk = None if self._is_over else self._next_chunk()
        except BaseException:
            self.close()
            raise
        finally:
            self._busy_s += time.perf_counter() - started
        if chunk is None:
            self._is_over = True
            raise StopIteration
        if self.first_sound_ms is None:
            self.first_sound_ms = 1000 * self._busy_s
        self._chunks.append(chunk)
        return chunk

    def collect(self) -> Audio:
        """Generate the rest and return the whole reply.

        Faster than iterating, as the engine does not pace the chunks for a listener.
        """
        self._is_live = False
        if self._verifying is not None and not self._turns:
            self._verifying = dataclasses.replace(self._verifying, holds_first=True)
        for _ in self:
            pass
        return self.audio()

    def close(self) -> None:
        """Stop generating."""
        self._is_over = True
        for handle in (self._current, self._next_handle):
            if handle is not None:
                self._engine.abandon(handle)
        if self._check is not None:
            self._check.cancel()
        self._cut = self._current or self._cut
        self._current = self._next = self._next_handle = self._check = None

    def __del__(self) -> None:
        if getattr(self, "_current", None) is not None:
            self.close()

    def audio(self) -> Audio:
        """The reply so far."""
        return Audio(
            samples=np.concatenate([np.zeros(0, np.float32), *self._chunks]),
            sample_rate=self.sample_rate,
            stopped=self.stopped,
            seed=self.seed,
            notes=list(self.notes),
            checks=list(self.checks),
            codes=torch.cat([self._as_codes([]), *self._codes], dim=1),
            first_sound_ms=self.first_sound_ms,
            rtf=self.rtf,
        )

    @property
    def num_pieces(self) -> int:
        """Pieces of the text that is known so far, spoken or not."""
        return self._source.num_pieces

    @property
    def _handle(self) -> Handle | None:
        return self._current or self._cut

    def _next_chunk(self) -> NDArray[np.float32] | None:
        """The next chunk of this turn or of the next one; None at the end."""
        while self._current is not None or self._begin_turn():
            assert self._current is not None
            if self._pause is not None:
                return self._take_pause()
            while not self._current.is_ready(self._size(self._current)):
                self._engine.wait(self._current, self._current.num_ready + 1)
            chunk = self._current.take(self._size(self._current))
            if chunk is not None:
                self._sizes.count(
                    len(chunk) // self._engine.runner.frame_size, self._engine.clock()
                )
                self._count_chunk(chunk)
                chunk = self._delivery.speech(chunk)
            elif self._count_turn(self._current):
                self._current = None
                chunk = self._delivery.end_turn()
            else:
                assert self._attempts is not None
                self._speak(self._submit(self._attempts, self._codes))
                continue
            if len(chunk):
                return chunk
        return self._take_pause() if self._pause is not None else None

    def _size(self, handle: Handle) -> int:
        """Frames of the next chunk; fewer while a listener waits."""
        return self._sizes.size(self._engine.clock(), handle.num_ready)

    def _begin_turn(self) -> bool:
        """Submit the next turn; returns False at the end of the text."""
        if self.stopped is not None:
            return False
        how = self._verifying
        if how is not None and (how.holds_first or self._codes):
            attempts = self._verified_turn()
            handle = None if attempts is None else attempts.handle
        else:
            turn = _run(self._source.next_turn(self._codes))
            attempts = None if turn is None else self._new_attempts(turn, self._codes)
            handle = None if attempts is None else self._submit(attempts, self._codes)
        if attempts is None:
            self._record_end(self._source.tail)
            return False
        assert handle is not None
        self._record_turn(attempts)
        self._speak(handle)
        return True

    def _speak(self, handle: Handle) -> None:
        """Deliver a turn, and prepare the next one meanwhile."""
        self._current = handle
        if self._verifying is not None and self._is_live:
            self._prepare([*self._codes], handle)

    def _prepare(self, spoken: list[Tensor], current: Handle) -> None:
        """Generate and verify the turn after the current one in a thread."""
        result = self._next = Future[Attempts | None]()

        def work() -> None:
            try:
                result.set_result(_run(self._next_attempts(self._source, spoken, current)))
            except BaseException as error:  # noqa: BLE001 the listener's thread raises it
                result.set_exception(error)

        threading.Thread(target=work, name="causerie verify", daemon=True).start()

    def _verified_turn(self) -> Attempts | None:
        """The next turn, once it is verified; None at the end."""
        started = time.perf_counter()
        if self._next is None or not self._codes[-1].shape[1]:
            attempts = _run(self._next_attempts(self._source, self._codes))
        else:
            attempts = self._next.result()
        self._next = None
        self._busy_s -= time.perf_counter() - started  # the time since is part of `busy_s`
        self._busy_s += 0.0 if attempts is None else attempts.busy_s
        return attempts

    def _submit(self, attempts: Attempts, spoken: Sequence[Tensor]) -> Handle:
        handle = self._engine.submit(self._request(attempts, spoken, is_live=self._is_live))
        if attempts.is_checked:
            self._next_handle = handle
        if self._is_over:  # it was closed meanwhile
            self._abandon(handle)
        return handle

    def _abandon(self, handle: Handle) -> None:
        self._engine.abandon(handle)

    async def _finished(self, handle: Handle) -> None:
        self._engine.finish(handle)

    async def _checked(self, check: Future[T]) -> T:
        self._check = check
        if self._is_over:
            check.cancel()
        return check.result()


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends, so it needs no event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise AssertionError("the text is asynchronous")
