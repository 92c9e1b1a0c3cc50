"""The state of a reply, shared by `Stream` and `AsyncStream`: counts, codes, and spoken text."""

from __future__ import annotations

import dataclasses
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
from causerie.engine.guard import Reason
from causerie.engine.handle import Handle
from causerie.engine.request import Request, Sampling, State
from causerie.prompt import Segment
from causerie.reply.delivery import Delivery
from causerie.reply.turn import Turn
from causerie.text.split import CHARS_A_SECOND, Piece

log = logging.getLogger("causerie")

#: An empty turn is spoken once more, with these bits of the seed changed.
RETRY_SEED = 1 << 62

#: What a guard did, in notes, by reason.
_GUARDED: dict[Reason, str] = {
    "stop": "the model stopped because the guard made it likelier,",
    "silence": "cut silence",
    "loop": "cut a sound that repeated itself,",
    "length": "cut speech that was much longer than its text,",
}


@dataclass(frozen=True, eq=False)
class Text:
    """A turn without its prompt, which is large."""

    text: str
    speaker: int
    limit_s: float


class Reply:
    """The state of a reply while it is generated.

    Attributes:
        sample_rate: in Hz.
        seed: the seed, which gives the same samples again.
        stopped: "end" if the model stopped by itself, "guard" if the guard ended the speech,
            "limit" at `max_duration_s`; None until then.
        notes: warnings for the listener.
        num_frames: frames handed out so far.
        num_underruns: how often audio came later than playback needed it, in finished turns.
        first_sound_ms: time from the request to the first chunk; None until then.
    """

    def __init__(
        self,
        engine: Engine,
        sampling: Sampling,
        notes: list[str],
        started: float,
        speed: float = 1.0,
    ) -> None:
        self.sample_rate = engine.runner.sample_rate
        self.seed = sampling.seed
        self.stopped: Stopped | None = None
        self.notes = notes
        self.num_frames = 0
        self.num_underruns = 0
        self.first_sound_ms: float | None = None
        self._sampling, self._sizes = sampling, ChunkSizes(engine.frame_s)
        # Numbers, not the engine: a reply kept for its context does not keep a model in memory.
        self._frame_s, self._frame_size = engine.frame_s, engine.runner.frame_size
        self._delivery = Delivery(self.sample_rate, self._frame_s, speed)
        self._pause: Piece | None = None  # silence that comes next
        self._num_codebooks = engine.runner.num_codebooks
        self._deadline_s: float | None = None
        self._continues = False  # audio that the listener already hears
        self._is_over = False
        self._turns: list[Text] = []  # the last one may not be finished
        self._codes: list[Tensor] = []  # (K, T) of each finished turn
        self._limit_s: float | None = None  # of the first turn that was cut
        self._is_guarded = False
        self._is_retry = False  # the current turn was empty before
        self._peak = 0.0
        self._busy_s = time.perf_counter() - started

    @property
    def rtf(self) -> float | None:
        """Real-time factor so far: computing time per second of audio; None before any audio."""
        seconds = self.num_frames * self._frame_s
        return self._busy_s / seconds if seconds else None

    @property
    def frame_s(self) -> float:
        """Seconds of a frame of codes."""
        return self._frame_s

    @property
    def silent_text(self) -> str | None:
        """The latest chunk's pause as it is written; None if the chunk is speech."""
        return self._delivery.silent_text

    @property
    def texts(self) -> list[str]:
        """Texts of the turns that were begun; the current audio belongs to the last one."""
        return [turn.text for turn in self._turns]

    def spoken_pieces(self) -> list[tuple[str, int]]:
        """The finished pieces of the text, each with the number of its samples.

        A pause is a piece without a text.
        """
        said = (
            turn.text
            for turn, codes in zip(self._turns, self._codes, strict=False)
            if codes.shape[1]
        )
        return [
            (next(said) if is_turn else "", num_samples)
            for is_turn, num_samples in self._delivery.lengths
            if num_samples
        ]

    def said(self, until_s: float | None = None) -> list[Segment]:
        """The spoken turns, as context for the next reply.

        Args:
            until_s: only the turns up to this time in the audio, as when a listener interrupts. The
                text of a turn that is cut is estimated: in proportion, up to a whole word.
        """
        spoken = [*self._codes]
        if self._handle is not None:
            spoken.append(self._as_codes(self._handle.frames))
        left = self.num_frames
        if until_s is not None:
            left = min(left, self._delivery.frames_until(until_s))
        segments: list[Segment] = []
        for turn, codes in zip(self._turns, spoken, strict=False):
            num_frames = codes.shape[1]
            played = codes[:, : max(0, left)]
            left -= num_frames
            is_whole = played.shape[1] == num_frames and (
                turn is not self._turns[-1] or self._handle is None
            )
            text = turn.text if is_whole else self._text_until(played.shape[1], turn, num_frames)
            if played.shape[1] and text:
                segments.append(Segment(speaker=turn.speaker, text=text, codes=played))
        return segments

    @property
    def _handle(self) -> Handle | None:
        """The handle of the current turn."""
        raise NotImplementedError

    def _text_until(self, num_played: int, turn: Text, num_frames: int) -> str:
        """The words in the first `num_played` of a turn's frames.

        For an unfinished turn, the total is estimated from the length of its text.
        """
        is_open = turn is self._turns[-1] and self._handle is not None
        usual = len(turn.text) / CHARS_A_SECOND / self._frame_s
        share = num_played / max(num_frames, usual) if is_open else num_played / num_frames
        end = int(share * len(turn.text) + 0.5)
        if end >= len(turn.text):
            return turn.text
        return turn.text[:end].rpartition(" ")[0].rstrip()

    def _request(self, turn: Turn, *, is_live: bool) -> Request:
        """The request to the engine for a turn."""
        self.notes += [note for note in turn.notes if note not in self.notes]
        continues = self._continues or bool(self._codes) or self._is_retry
        sampling = self._sampling
        if self._is_retry:
            sampling = dataclasses.replace(sampling, seed=sampling.seed ^ RETRY_SEED)
        return Request(
            rows=turn.prompt.rows,
            part_ends=turn.prompt.part_ends,
            max_frames=turn.max_frames,
            sampling=sampling,
            length=turn.length,
            first_frame=self.num_frames,
            realtime=is_live,
            continues=continues,
            cache_context=not self._codes,
            deadline_s=None if continues else self._deadline_s,
        )

    def _take_pause(self) -> NDArray[np.float32]:
        """The silence that comes next."""
        pause, self._pause = self._pause, None
        assert pause is not None
        return self._delivery.silence(pause.pause_s, pause)

    def _record_turn(self, turn: Turn) -> None:
        self._pause = turn.pause
        self._turns.append(Text(turn.text, turn.speaker, turn.limit_s))

    def _count_chunk(self, chunk: NDArray[np.float32]) -> None:
        """Count a chunk that is handed out."""
        self.num_frames += len(chunk) // self._frame_size
        self._peak = max(self._peak, float(np.abs(chunk).max()))

    def _count_turn(self, handle: Handle) -> None:
        """Count a finished turn. An empty one is not recorded the first time, so it comes again."""
        is_empty = handle.state is State.ENDED and not handle.frames
        if is_empty and not self._is_retry:
            self._is_retry = True
            self._turns.pop()
            return
        if self._is_retry:
            end = ", also with another seed" if is_empty else " at first: spoken with another seed"
            self.notes.append(f"empty: the model said nothing{end}")
        self._is_retry = False
        self._codes.append(self._as_codes(handle.frames))
        self.num_underruns += handle.ticket.num_underruns
        if handle.state is State.LIMIT and self._limit_s is None:
            self._limit_s = self._turns[-1].limit_s
            self.notes.append(f"stopped: limit of {self._limit_s:.1f} s, the model did not end")
        guard = handle.ticket.guard
        if guard is not None and guard.reason is not None:
            self._is_guarded = True
            seconds = len(handle.frames) * self._frame_s
            self.notes.append(f"guard: {_GUARDED[guard.reason]} after {seconds:.1f} s")

    def _record_end(self, tail: Piece | None) -> None:
        """Record the end of the text.

        Args:
            tail: the silence at the end.
        """
        self.stopped = "guard" if self._is_guarded else "end"
        if self._limit_s is not None:
            self.stopped = "limit"
        else:
            self._pause = tail
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
