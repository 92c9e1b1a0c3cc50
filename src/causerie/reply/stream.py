"""A reply for one thread, which steps the engine while it waits for the next chunk."""

from __future__ import annotations

import time
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.engine.engine import Engine
from causerie.engine.handle import Handle
from causerie.engine.request import Sampling
from causerie.reply.reply import Reply
from causerie.reply.turns import Turns

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
        speed: float = 1.0,
    ) -> None:
        super().__init__(engine, sampling, turns.notes, started, speed)
        self._engine, self._source = engine, turns
        self._is_live = True
        self._current: Handle | None = None
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
        for _ in self:
            pass
        return self.audio()

    def close(self) -> None:
        """Stop generating."""
        self._is_over = True
        if self._current is not None:
            self._engine.abandon(self._current)
            self._current = None

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
        return self._current

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
            else:
                self._count_turn(self._current)
                self._current = None
                chunk = self._delivery.end_turn()
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
        turn = _run(self._source.next_turn(self._codes))
        if turn is None:
            self._record_end(self._source.tail)
            return False
        self._current = self._engine.submit(self._request(turn, is_live=self._is_live))
        self._record_turn(turn)
        return True


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends, so it needs no event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise AssertionError("the text is asynchronous")
