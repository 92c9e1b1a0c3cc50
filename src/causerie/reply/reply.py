"""The state that every reply has, however it is streamed: counts, codes, and the text spoken."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causerie.audio.audio import Stopped
from causerie.engine.chunk_sizes import ChunkSizes
from causerie.engine.engine import Engine
from causerie.engine.handle import Handle
from causerie.engine.request import Request, Sampling, State
from causerie.prompt import Segment
from causerie.reply.turn import Turn

log = logging.getLogger("causerie")

#: Characters per second of English speech at an ordinary pace, pauses included.
CHARS_A_SECOND = 14.0


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
        self._sampling, self._sizes = sampling, ChunkSizes(engine.frame_s)
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
        """Record the end of the text."""
        self.stopped = "end" if self._limit_s is None else "limit"
        if len(self._turns) > 1:
            seconds = self.num_frames * self._frame_s
            log.info(
                "spoke %.1f s in %d pieces, real-time factor %.2f",
                seconds, len(self._turns), self.rtf or 0.0,
            )  # fmt: skip
        if self._peak > 1:
            self.notes.append(f"clipped: the peak is {self._peak:.2f} of full scale")

    def _as_codes(self, frames: list[NDArray[np.int32]]) -> Tensor:
        """Codes (K, T) of frames (K,)."""
        empty = np.zeros((0, self._num_codebooks), np.int32)
        return torch.from_numpy(np.concatenate([empty, *(f[None] for f in frames)]).T).long()
