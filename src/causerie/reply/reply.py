"""The state of a reply, shared by `Stream` and `AsyncStream`: counts, codes, and spoken text."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causerie.audio.audio import Check, Stopped
from causerie.engine.chunk_sizes import ChunkSizes
from causerie.engine.engine import Engine
from causerie.engine.guard import Reason
from causerie.engine.handle import Handle
from causerie.engine.request import Request, Sampling, State
from causerie.prompt import Segment
from causerie.reply.attempts import Attempts
from causerie.reply.delivery import Delivery
from causerie.reply.length import words_until
from causerie.reply.turn import Turn
from causerie.reply.turns import Turns
from causerie.reply.verifier import Verifier
from causerie.text.split import Piece
from causerie.watermark.mark import Marker

log = logging.getLogger("causerie")
T = TypeVar("T")

#: The note of a reply whose sound is not marked.
UNMARKED = "watermark: off, so nothing marks this speech as generated"

#: What a guard did, in notes, by reason.
_GUARDED: dict[Reason, str] = {
    "stop": "the model stopped because the guard made it likelier,",
    "silence": "cut silence",
    "loop": "cut a sound that repeated itself,",
    "length": "cut speech that was much longer than its text,",
}


@dataclass(frozen=True, eq=False)
class Text:
    """A turn without its prompt, which is large.

    Attributes:
        usual_s: the usual length of its speech.
        is_unfinished: whether its limit ended the speech, perhaps before its last word.
    """

    text: str
    speaker: int
    limit_s: float
    usual_s: float
    is_unfinished: bool = False


@dataclass(frozen=True, kw_only=True)
class Verifying:
    """How a reply is verified.

    Attributes:
        verifier: compares speech with its text.
        holds_first: the first piece is held until it is verified, like all others.
    """

    verifier: Verifier
    holds_first: bool


class Reply:
    """The state of a reply while it is generated.

    Attributes:
        sample_rate: in Hz.
        seed: the seed, which gives the same samples again.
        stopped: "end" if the model stopped by itself, "guard" if the guard ended the speech,
            "limit" at `max_duration_s`; None until then.
        notes: warnings for the listener.
        checks: of the pieces that were verified, so far.
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
        marker: Marker | None,
        speed: float = 1.0,
        verifying: Verifying | None = None,
    ) -> None:
        self.sample_rate = engine.runner.sample_rate
        self.seed = sampling.seed
        self.stopped: Stopped | None = None
        self.notes = notes
        if marker is None:
            notes.insert(0, UNMARKED)
        self.checks: list[Check] = []
        self.num_frames = 0
        self.num_underruns = 0
        self.first_sound_ms: float | None = None
        self._sampling, self._sizes = sampling, ChunkSizes(engine.frame_s)
        # Numbers, not the engine: a reply kept for its context does not keep a model in memory.
        self._frame_s, self._frame_size = engine.frame_s, engine.runner.frame_size
        self._delivery = Delivery(self.sample_rate, self._frame_s, marker, speed)
        self._pause: Piece | None = None  # silence that comes next
        self._num_codebooks = engine.runner.num_codebooks
        self._deadline_s: float | None = None
        self._continues = False  # audio that the listener already hears
        self._client: str | None = None
        self._is_over = False
        self._turns: list[Text] = []  # the last one may not be finished
        self._codes: list[Tensor] = []  # (K, T) of each finished turn
        self._limit_s: float | None = None  # of the first turn that was cut
        self._is_guarded = False
        self._attempts: Attempts | None = None  # at the current turn
        self._verifying = verifying
        self._peak = 0.0
        self._busy_s = time.perf_counter() - started
        self._started = started

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
                text of a turn that is cut is estimated: the words that were said whole. A turn
                without one is left out, as the next reply would begin with the word that is due.
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
            is_open = turn.is_unfinished or (turn is self._turns[-1] and self._is_open)
            if played.shape[1]:
                text = turn.text
                if is_open or played.shape[1] < num_frames:
                    total_s = num_frames * self._frame_s
                    total_s = max(total_s, turn.usual_s) if is_open else total_s
                    text = words_until(text, played.shape[1] * self._frame_s, total_s)
                if text:
                    segments.append(Segment(speaker=turn.speaker, text=text, codes=played))
        return segments

    @property
    def _handle(self) -> Handle | None:
        """The handle of the current turn."""
        raise NotImplementedError

    @property
    def _is_open(self) -> bool:
        """Whether the last turn is not all there."""
        ends = (State.ENDED, State.GUARD)
        return self._handle is not None and self._handle.state not in ends

    def _request(self, attempts: Attempts, spoken: Sequence[Tensor], *, is_live: bool) -> Request:
        """The request to the engine for the next attempt at a turn.

        Args:
            spoken: codes (K, T) of each turn before it.
        """
        turn = attempts.turn
        self.notes += [note for note in turn.notes if note not in self.notes]
        continues = self._continues or bool(spoken) or attempts.number > 0
        return Request(
            rows=turn.prompt.rows,
            part_ends=turn.prompt.part_ends,
            max_frames=turn.max_frames,
            sampling=attempts.sampling,
            length=turn.length,
            first_frame=sum(codes.shape[1] for codes in spoken),
            realtime=is_live,
            continues=continues,
            cache_context=not spoken,
            cache_reply=not attempts.is_checked,
            client=self._client,
            deadline_s=None if continues else self._deadline_s,
        )

    # -- pieces that are verified before anyone hears them ---------------------------------------

    def _new_attempts(self, turn: Turn, spoken: Sequence[Tensor]) -> Attempts:
        how = self._verifying
        is_checked = how is not None and (how.holds_first or bool(spoken))
        return Attempts(turn, self._sampling, is_checked=is_checked)

    async def _next_attempts(
        self, turns: Turns, spoken: list[Tensor], current: Handle | None = None
    ) -> Attempts | None:
        """The next turn, verified; None at the end.

        Args:
            spoken: codes (K, T) of each turn before the current one.
            current: of the turn that is being delivered, which may still be generated.
        """
        if current is not None:
            await self._finished(current)
            if current.ticket.error is not None or Attempts.is_empty(current):
                return None  # the listener gets the error, or another attempt
            spoken = [*spoken, self._as_codes(current.frames)]
        turn = await turns.next_turn(spoken)
        if turn is None:
            await self._compare_recordings(turns)
            return None
        attempts = self._new_attempts(turn, spoken)
        return await self._verified(attempts, spoken, self._submit(attempts, spoken))

    async def _compare_recordings(self, turns: Turns) -> None:
        """Compare recordings with their texts, if that is not done, while the last piece is heard.

        Not earlier, because the next piece needs the recognizer first.
        """
        for comparison in turns.comparisons():
            note = await self._checked(comparison)
            if note:
                self.notes.append(note)
                log.warning("%s", note)  # a client may have got all notes that it gets

    async def _verified(
        self, attempts: Attempts, spoken: Sequence[Tensor], handle: Handle
    ) -> Attempts:
        """Speak a turn until its words are right, or as often as is allowed.

        Args:
            handle: of the first attempt.
        """
        assert self._verifying is not None
        words = attempts.turn.words
        while True:
            started = time.perf_counter()
            try:
                await self._finished(handle)
                if handle.ticket.error is not None:
                    raise handle.ticket.error
                hearing = None
                if handle.frames and words:
                    check = self._verifying.verifier.check(
                        handle.audio(), self.sample_rate, words, is_suspect=attempts.number > 0
                    )
                    hearing = await self._checked(check)
            except BaseException:
                self._abandon(handle)
                raise
            attempts.busy_s += time.perf_counter() - started
            if not attempts.end(handle, hearing) or self._is_late():
                attempts.cut_off(self.sample_rate)
                return attempts
            handle = self._submit(attempts, spoken)

    def _is_late(self) -> bool:
        """Whether nothing was heard by the deadline, so that no other attempt shall delay it."""
        if self._deadline_s is None or self._codes or self._turns:
            return False
        return time.perf_counter() > self._started + self._deadline_s

    def _submit(self, attempts: Attempts, spoken: Sequence[Tensor]) -> Handle:
        """Submit the next attempt at a turn."""
        raise NotImplementedError

    def _abandon(self, handle: Handle) -> None:
        """Cancel a request."""
        raise NotImplementedError

    async def _finished(self, handle: Handle) -> None:
        """Wait until a request has finished."""
        raise NotImplementedError

    async def _checked(self, check: Future[T]) -> T:
        """Wait for a recognizer."""
        raise NotImplementedError

    # -- counts ------------------------------------------------------------------------------------

    def _take_pause(self) -> NDArray[np.float32]:
        """The silence that comes next."""
        pause, self._pause = self._pause, None
        assert pause is not None
        return self._delivery.silence(pause.pause_s, pause)

    def _record_turn(self, attempts: Attempts) -> None:
        turn, self._attempts = attempts.turn, attempts
        self._pause = turn.pause
        self._turns.append(Text(turn.text, turn.speaker, turn.limit_s, turn.usual_s))
        self._delivery.begin_turn(self.seed, turn.prompt.spoken_tokens.tobytes())

    def _count_chunk(self, chunk: NDArray[np.float32]) -> None:
        """Count a chunk that is handed out."""
        self.num_frames += len(chunk) // self._frame_size
        self._peak = max(self._peak, float(np.abs(chunk).max()))

    def _count_turn(self, handle: Handle) -> bool:
        """Count a finished turn; returns False if it is empty and must be spoken again."""
        attempts, self._attempts = self._attempts, None
        assert attempts is not None
        if not attempts.is_checked and attempts.end(handle, None):
            self._attempts = attempts
            return False
        self.notes += attempts.notes()
        check = attempts.check()
        if check is not None:
            self.checks.append(check)
        self._codes.append(self._as_codes(handle.frames))
        self.num_underruns += handle.ticket.num_underruns
        if attempts.is_cut:
            return True
        if handle.state is State.LIMIT and (check is None or not check.is_right):
            self._turns[-1] = replace(self._turns[-1], is_unfinished=True)
        if handle.state is State.LIMIT and self._limit_s is None:
            self._limit_s = self._turns[-1].limit_s
            self.notes.append(f"stopped: limit of {self._limit_s:.1f} s, the model did not end")
        guard = handle.ticket.guard
        if guard is not None and guard.reason is not None:
            self._is_guarded = True
            seconds = len(handle.frames) * self._frame_s
            self.notes.append(f"guard: {_GUARDED[guard.reason]} after {seconds:.1f} s")
        return True

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
