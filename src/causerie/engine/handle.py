"""The output of one request: the engine puts audio in, one consumer takes it out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from causerie.engine.guard import fade_out
from causerie.engine.request import State, Ticket


class Handle:
    """The audio of one request as it is generated. One thread at a time may take from it.

    Attributes:
        ticket: the progress of the request.
        frames: codes (K,) int32 of all frames so far, including those not yet taken.
        num_held: latest frames that cannot be taken before the request is done.
        is_awaited: the consumer waits for audio right now.
        on_change: called by the stepping thread when there may be something to take.
        on_done: called once by the stepping thread when the request has finished.
    """

    def __init__(self, ticket: Ticket) -> None:
        self.ticket = ticket
        self.frames: list[NDArray[np.int32]] = []
        self.num_held = 0
        self.is_awaited = False
        self.on_change: Callable[[], None] | None = None
        self.on_done: Callable[[], None] | None = None
        self._audio: deque[NDArray[np.float32]] = deque()

    @property
    def is_done(self) -> bool:
        """Whether the request has finished; there may still be audio to take."""
        return self.ticket.is_done

    @property
    def state(self) -> State:
        """The state of the request."""
        return self.ticket.state

    @property
    def num_ready(self) -> int:
        """Frames of audio that can be taken."""
        is_done = self.is_done  # first: nothing is put or held after it
        return len(self._audio) if is_done else max(0, len(self._audio) - self.num_held)

    def is_ready(self, num_frames: int) -> bool:
        """Whether `num_frames` frames can be taken, or the request has finished."""
        return self.is_done or self.num_ready >= num_frames

    def put(self, codes: NDArray[np.int32], audio: NDArray[np.float32], num_held: int = 0) -> None:
        """Add one frame: codes (K,) and audio (frame_size,), which are copied.

        Args:
            num_held: the new `num_held`, at most one more than before.
        """
        self.num_held = num_held  # first: the new frame may be one of them
        self.frames.append(codes.copy())
        self._audio.append(audio.copy())

    def held(self) -> NDArray[np.float32]:
        """Audio (H, frame_size) of the held frames."""
        return np.stack([self._audio[index] for index in range(-self.num_held, 0)])

    def replace_held(self, audio: NDArray[np.float32]) -> None:
        """Replace the audio of the first held frames, and drop the others."""
        for index, samples in enumerate(audio):
            self._audio[index - self.num_held] = samples
        for _ in range(self.num_held - len(audio)):
            self._audio.pop()
            self.frames.pop()
        self.num_held = len(audio)

    def cut_off(self, num_samples: int, fade: int) -> None:
        """Keep the frames with the first samples of a finished request that nobody took from.

        Args:
            fade: samples before the end that are faded out.
        """
        kept = self.audio()
        fade_out(kept, num_samples, fade)
        size = len(self._audio[0])
        num_frames = min(len(self.frames), -(-num_samples // size))
        del self.frames[num_frames:]
        self._audio = deque(kept[: num_frames * size].reshape(num_frames, size))

    def audio(self) -> NDArray[np.float32]:
        """All audio (N,) that is not taken yet, which stays."""
        return np.concatenate([np.zeros(0, np.float32), *self._audio])

    def take(self, num_frames: int | None = None) -> NDArray[np.float32] | None:
        """Audio (N,) of the frames that are ready, at most `num_frames`; None at the end.

        Raises:
            CancelledError, DeadlineError, CheckpointError, …: the request failed.
        """
        is_done = self.is_done  # first: a frame that arrives meanwhile is taken next time
        num_ready = self.num_ready
        num_taken = num_ready if num_frames is None else min(num_ready, num_frames)
        if num_taken:
            return np.concatenate([self._audio.popleft() for _ in range(num_taken)])
        if not is_done:
            return np.zeros(0, np.float32)
        if self.ticket.error is not None:
            raise self.ticket.error
        return None

    def notify(self) -> None:
        """Call `on_change`, and `on_done` at the end, if they are set."""
        if self.on_change is not None:
            self.on_change()
        if self.is_done:
            on_done, self.on_done = self.on_done, None
            if on_done is not None:
                on_done()
