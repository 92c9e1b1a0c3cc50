"""What is made of one request: the engine puts it in, one consumer takes it out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from causerie.engine.request import State, Ticket


class Handle:
    """The sound of one request, as it comes. One thread at a time takes from it.

    Attributes:
        ticket: how far it is.
        frames: codes (K,) int32 of the frames so far, those not yet taken included.
        is_awaited: somebody waits for its sound right now.
        on_change: called by whoever steps the engine when there may be something to take.
    """

    def __init__(self, ticket: Ticket) -> None:
        self.ticket = ticket
        self.frames: list[NDArray[np.int32]] = []
        self.is_awaited = False
        self.on_change: Callable[[], None] | None = None
        self._sound: deque[NDArray[np.float32]] = deque()

    @property
    def is_done(self) -> bool:
        """Whether nothing more will come; there may be sound yet to be taken."""
        return self.ticket.is_done

    @property
    def state(self) -> State:
        """Where the request stands."""
        return self.ticket.state

    @property
    def num_ready(self) -> int:
        """Frames of sound that can be taken."""
        return len(self._sound)

    def is_ready(self, num_frames: int) -> bool:
        """Whether so many frames can be taken, or all that will ever be."""
        return self.is_done or len(self._sound) >= num_frames

    def put(self, codes: NDArray[np.int32], sound: NDArray[np.float32]) -> None:
        """Hand out one frame: codes (K,) and sound (frame_size,), which may be parts of a batch."""
        self.frames.append(codes.copy())
        self._sound.append(sound.copy())

    def take(self, num_frames: int | None = None) -> NDArray[np.float32] | None:
        """Sound (N,) of at most so many frames that are there; None at the end.

        Raises:
            CancelledError, DeadlineError, CheckpointError, …: why there is no more.
        """
        is_done = self.is_done  # before the look: what came meanwhile is taken next time
        num_taken = min(len(self._sound), len(self._sound) if num_frames is None else num_frames)
        if num_taken:
            return np.concatenate([self._sound.popleft() for _ in range(num_taken)])
        if not is_done:
            return np.zeros(0, np.float32)
        if self.ticket.error is not None:
            raise self.ticket.error
        return None

    def tell(self) -> None:
        """Let the consumer look again, where it asked for that."""
        if self.on_change is not None:
            self.on_change()
