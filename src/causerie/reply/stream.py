"""A reply for one thread, which steps the engine while it waits for the next piece."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.engine.engine import Engine
from causerie.engine.handle import Handle
from causerie.engine.request import Sampling
from causerie.reply.reply import Reply
from causerie.reply.turn import NextTurn


class Stream(Reply, Iterator[NDArray[np.float32]]):
    """Speech as it is made: iterate over its pieces, (N,) fp32 each."""

    def __init__(
        self,
        engine: Engine,
        next_turn: NextTurn,
        sampling: Sampling,
        notes: list[str],
        started: float,
    ) -> None:
        super().__init__(engine, sampling, notes, started)
        self._engine, self._next_turn = engine, next_turn
        self._is_live = True
        self._current: Handle | None = None
        self._pieces: list[NDArray[np.float32]] = []

    def __next__(self) -> NDArray[np.float32]:
        started = time.perf_counter()
        try:
            piece = None if self._is_over else self._next_piece()
        except BaseException:
            self.close()
            raise
        finally:
            self._busy_s += time.perf_counter() - started
        if piece is None:
            self._is_over = True
            raise StopIteration
        if self.first_sound_ms is None:
            self.first_sound_ms = 1000 * self._busy_s
        self._pieces.append(piece)
        return piece

    def collect(self) -> Audio:
        """The rest, and all of it as one; nobody listens to it while it is made."""
        self._is_live = False
        for _ in self:
            pass
        return self.audio()

    def close(self) -> None:
        """Make no more of it."""
        self._is_over = True
        if self._current is not None:
            self._engine.abandon(self._current)
            self._current = None

    def __del__(self) -> None:
        if getattr(self, "_current", None) is not None:
            self.close()

    def audio(self) -> Audio:
        """All that was made so far, as one."""
        return Audio(
            samples=np.concatenate([np.zeros(0, np.float32), *self._pieces]),
            sample_rate=self.sample_rate,
            stopped=self.stopped,
            seed=self.seed,
            notes=list(self.notes),
            codes=torch.cat([self._as_codes([]), *self._codes], dim=1),
            first_sound_ms=self.first_sound_ms,
            rtf=self.rtf,
        )

    @property
    def _handle(self) -> Handle | None:
        return self._current

    def _next_piece(self) -> NDArray[np.float32] | None:
        """The next piece of this turn, or of the next one; None at the end of all."""
        while self._current is not None or self._begin_turn():
            assert self._current is not None
            while not self._current.is_ready(self._size(self._current)):
                self._engine.wait(self._current, self._current.num_ready + 1)
            piece = self._current.take(self._size(self._current))
            if piece is not None:
                self._sizes.handed(
                    len(piece) // self._engine.runner.frame_size, self._engine.clock()
                )
                self._took(piece)
                return piece
            self._ended(self._current)
            self._current = None
        return None

    def _size(self, handle: Handle) -> int:
        """Frames of the next piece, fewer while a listener waits."""
        return self._sizes.size(self._engine.clock(), handle.num_ready)

    def _begin_turn(self) -> bool:
        """Ask for the next turn; False where all is said."""
        turn = self._next_turn(self._codes)
        if turn is None:
            self._concluded()
            return False
        self._current = self._engine.submit(self._request(turn, is_live=self._is_live))
        self._began(turn)
        return True
