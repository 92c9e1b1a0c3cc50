"""A reply of one or more turns, as it is made: turns → requests of an engine → pieces of sound.

The engine runs while somebody asks for the next piece, and no longer. Knows nothing of text, files
or tensors' devices. (`causerie.live` is the same for asyncio.)
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
from causerie.prompt import Prompt, Segment

#: Of English at an ordinary pace, as far as words and pauses go.
CHARS_A_SECOND = 14.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Turn:
    """A text to be spoken in one go.

    Attributes:
        text: as it was written.
        speaker: who says it.
        prompt: made from the codes (K, T) of the turns before it.
        max_frames: its speech is cut there.
        limit_s: what to call that limit, where it is part of a longer one.
        notes: what there is to say about it.
    """

    text: str
    speaker: int
    prompt: Prompt
    max_frames: int
    limit_s: float
    notes: list[str]


#: Makes the next turn from the codes (K, T) of each turn spoken so far; None: all is said.
NextTurn = Callable[[list[Tensor]], Turn | None]


@dataclass(frozen=True, eq=False)
class Text:
    """What is kept of a turn: without its prompt, which is large."""

    text: str
    speaker: int
    limit_s: float


class Reply:
    """What is known of a reply while it is made.

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
        self, engine: Engine, sampling: Sampling, notes: list[str], started: float
    ) -> None:
        self.sample_rate = engine.runner.sample_rate
        self.seed = sampling.seed
        self.stopped: Stopped | None = None
        self.notes = notes
        self.num_frames = 0
        self.num_underruns = 0
        self.first_sound_ms: float | None = None
        self._sampling, self._sizes = sampling, Pieces(engine.frame_s)
        # Numbers, and not the engine: who remembers what was said does not keep a model in memory.
        self._frame_s, self._frame_size = engine.frame_s, engine.runner.frame_size
        self._num_codebooks = engine.runner.num_codebooks
        self._deadline_s: float | None = None
        self._continues = False  # what its listener hears already
        self._is_over = False
        self._turns: list[Text] = []  # the last of which may be being spoken
        self._codes: list[Tensor] = []  # (K, T) of each finished turn
        self._limit_s: float | None = None  # that the first turn without an end came to
        self._peak = 0.0
        self._busy_s = time.perf_counter() - started

    @property
    def rtf(self) -> float | None:
        """Seconds of waiting for a second of sound so far; None before there is any."""
        seconds = self.num_frames * self._frame_s
        return self._busy_s / seconds if seconds else None

    @property
    def texts(self) -> list[str]:
        """Of the turns that were begun; sound that is handed out now is of the last one."""
        return [turn.text for turn in self._turns]

    def said(self, until_s: float | None = None) -> list[Segment]:
        """What was spoken, turn by turn, as context of what comes next.

        Args:
            until_s: only what was heard in so many seconds of the sound. The text of a turn that
                is cut is cut in proportion, after a whole word; that is an estimate.
        """
        spoken = [*self._codes]
        if self._handle is not None:
            spoken.append(self._as_codes(self._handle.frames))
        left = self.num_frames
        if until_s is not None:
            left = min(left, int(until_s / self._frame_s + 1e-6))
        segments: list[Segment] = []
        for turn, codes in zip(self._turns, spoken, strict=False):
            num_frames = codes.shape[1]
            heard = codes[:, : max(0, left)]
            left -= num_frames
            is_whole = heard.shape[1] == num_frames and (
                turn is not self._turns[-1] or self._handle is None
            )
            text = turn.text if is_whole else self._heard_text(turn, heard.shape[1], num_frames)
            if heard.shape[1] and text:
                segments.append(Segment(speaker=turn.speaker, text=text, codes=heard))
        return segments

    @property
    def _handle(self) -> Handle | None:
        """Of the turn that is being spoken."""
        raise NotImplementedError

    def _heard_text(self, turn: Text, num_heard: int, num_frames: int) -> str:
        """The words of a turn that so many of its frames hold.

        Where it is still being spoken, its rest is as long as text of that length usually is.
        """
        is_open = turn is self._turns[-1] and self._handle is not None
        usual = len(turn.text) / CHARS_A_SECOND / self._frame_s
        share = num_heard / max(num_frames, usual) if is_open else num_heard / num_frames
        end = int(share * len(turn.text) + 0.5)
        if end >= len(turn.text):
            return turn.text
        return turn.text[:end].rpartition(" ")[0].rstrip()

    def _request(self, turn: Turn, *, is_live: bool) -> Request:
        """What the engine is asked for the next turn."""
        self.notes += [note for note in turn.notes if note not in self.notes]
        continues = self._continues or bool(self._codes)
        return Request(
            rows=turn.prompt.rows,
            part_ends=turn.prompt.part_ends,
            max_frames=turn.max_frames,
            sampling=self._sampling,
            first_frame=self.num_frames,
            realtime=is_live,
            continues=continues,
            deadline_s=None if continues else self._deadline_s,
        )

    def _began(self, turn: Turn) -> None:
        self._turns.append(Text(turn.text, turn.speaker, turn.limit_s))

    def _took(self, piece: NDArray[np.float32]) -> None:
        """Count a piece that is handed out."""
        self.num_frames += len(piece) // self._frame_size
        self._peak = max(self._peak, float(np.abs(piece).max()))

    def _ended(self, handle: Handle) -> None:
        """Count a turn that is all spoken."""
        self._codes.append(self._as_codes(handle.frames))
        self.num_underruns += handle.ticket.num_underruns
        if handle.state is State.LIMIT and self._limit_s is None:
            self._limit_s = self._turns[-1].limit_s
            self.notes.append(f"stopped: limit of {self._limit_s:.1f} s, the model did not end")

    def _concluded(self) -> None:
        """All is said."""
        self.stopped = "end" if self._limit_s is None else "limit"
        if self._peak > 1:
            self.notes.append(f"clipped: the peak is {self._peak:.2f} of full scale")

    def _as_codes(self, frames: list[NDArray[np.int32]]) -> Tensor:
        """Codes (K, T) of frames (K,)."""
        empty = np.zeros((0, self._num_codebooks), np.int32)
        return torch.from_numpy(np.concatenate([empty, *(f[None] for f in frames)]).T).long()


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
