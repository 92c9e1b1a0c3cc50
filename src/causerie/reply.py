"""A reply of one or more turns, as it is made: turns → requests of an engine → pieces of sound.

The engine runs while somebody asks for the next piece, and no longer. Knows nothing of text, files
or tensors' devices.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causerie.audio.audio import Audio, Stopped
from causerie.engine.engine import Engine
from causerie.engine.handle import Handle
from causerie.engine.pieces import Pieces
from causerie.engine.request import Request, Sampling, State
from causerie.prompt import Prompt


@dataclass(frozen=True, kw_only=True, eq=False)
class Turn:
    """A text to be spoken in one go.

    Attributes:
        prompt: made from the codes (K, T) of the turns before it.
        max_frames: its speech is cut there.
        limit_s: what to call that limit, where it is part of a longer one.
        notes: what there is to say about it.
    """

    prompt: Prompt
    max_frames: int
    limit_s: float
    notes: list[str]


#: Makes the next turn from the codes (K, T) of each turn spoken so far; None: all is said.
NextTurn = Callable[[list[Tensor]], Turn | None]


class Stream(Iterator[NDArray[np.float32]]):
    """Speech as it is made: iterate over its pieces, (N,) fp32 each.

    Attributes:
        sample_rate: in Hz.
        seed: generates the same again.
        stopped: None until the end is reached.
        notes: what the listener should know.
        num_frames: handed out so far.
        num_underruns: how often a listener waited for sound that came too late, in finished turns.
        first_sound_ms: from the request to the first piece; None until then.
    """

    def __init__(
        self,
        engine: Engine,
        next_turn: NextTurn,
        sampling: Sampling,
        notes: list[str],
        started: float,
    ) -> None:
        self.sample_rate = engine.runner.sample_rate
        self.seed = sampling.seed
        self.stopped: Stopped | None = None
        self.notes = notes
        self.num_frames = 0
        self.num_underruns = 0
        self.first_sound_ms: float | None = None
        self._engine, self._sampling, self._next_turn = engine, sampling, next_turn
        self._sizes = Pieces(engine.frame_s)
        self._is_live = True
        self._is_over = False
        self._turn: Turn | None = None
        self._handle: Handle | None = None  # of the turn that is being spoken
        self._pieces: list[NDArray[np.float32]] = []
        self._codes: list[Tensor] = []  # (K, T) of each finished turn
        self._limit_s: float | None = None  # that the first turn without an end came to
        self._busy_s = time.perf_counter() - started

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
        if self._handle is not None:
            self._engine.abandon(self._handle)
            self._handle = None

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.close()

    @property
    def rtf(self) -> float | None:
        """Seconds of computing a second of sound so far; None before there is any."""
        num_samples = sum(map(len, self._pieces))
        return self._busy_s * self.sample_rate / num_samples if num_samples else None

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

    def _next_piece(self) -> NDArray[np.float32] | None:
        """The next piece of this turn, or of the next one; None at the end of all."""
        while self._handle is not None or self._begin_turn():
            assert self._handle is not None
            while not self._handle.is_ready(self._size(self._handle)):
                self._engine.wait(self._handle, self._handle.num_ready + 1)
            piece = self._handle.take(self._size(self._handle))
            if piece is not None:
                num_frames = len(piece) // self._engine.runner.frame_size
                self._sizes.handed(num_frames, self._engine.clock())
                self.num_frames += num_frames
                return piece
            self._end_turn(self._handle)
        return None

    def _size(self, handle: Handle) -> int:
        """Frames of the next piece, fewer while a listener waits."""
        return self._sizes.size(self._engine.clock(), handle.num_ready)

    def _begin_turn(self) -> bool:
        """Ask for the next turn; False where all is said."""
        self._turn = self._next_turn(self._codes)
        if self._turn is None:
            self._conclude()
            return False
        self.notes += [note for note in self._turn.notes if note not in self.notes]
        self._handle = self._engine.submit(
            Request(
                rows=self._turn.prompt.rows,
                part_ends=self._turn.prompt.part_ends,
                max_frames=self._turn.max_frames,
                sampling=self._sampling,
                first_frame=self.num_frames,
                realtime=self._is_live,
            )
        )
        return True

    def _end_turn(self, handle: Handle) -> None:
        assert self._turn is not None
        self._codes.append(self._as_codes(handle.frames))
        self.num_underruns += handle.ticket.num_underruns
        if handle.state is State.LIMIT and self._limit_s is None:
            self._limit_s = self._turn.limit_s
            self.notes.append(f"stopped: limit of {self._limit_s:.1f} s, the model did not end")
        self._handle = None

    def _conclude(self) -> None:
        self.stopped = "end" if self._limit_s is None else "limit"
        peak = max((float(np.abs(piece).max()) for piece in self._pieces), default=0.0)
        if peak > 1:
            self.notes.append(f"clipped: the peak is {peak:.2f} of full scale")

    def _as_codes(self, frames: list[NDArray[np.int32]]) -> Tensor:
        """Codes (K, T) of frames (K,)."""
        empty = np.zeros((0, self._engine.runner.num_codebooks), np.int32)
        return torch.from_numpy(np.concatenate([empty, *(f[None] for f in frames)]).T).long()
