"""What a listener has heard of a conversation, which is what its next turn has as context.

A reply that was broken off counts only as far as it was played. Knows no protocol.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from causerie.prompt import Segment
from causerie.reply.async_stream import AsyncStream

#: Seconds of sound that the next reply gets as context, the latest.
CONTEXT_S = 40.0


@dataclass(eq=False)
class Heard:
    """A reply, and how much of it was played.

    Attributes:
        speed: at which it is played.
        until_ms: of playing; None: all that was sent.
    """

    speech: AsyncStream
    voice: str
    speed: float = 1.0
    until_ms: float | None = None
    _num_samples: int = field(default=0, repr=False)
    _segments: list[Segment] | None = field(default=None, repr=False)

    def add(self, pcm: NDArray[np.float32]) -> None:
        """Count sound that is sent."""
        self._num_samples += len(pcm)

    @property
    def sent_ms(self) -> int:
        """How long all that was sent plays."""
        return round(1000 * self._num_samples / self.speech.sample_rate / self.speed)

    @property
    def frame_s(self) -> float:
        """Seconds of sound to a frame of codes."""
        return self._num_samples / self.speech.sample_rate / max(1, self.speech.num_frames)

    @property
    def spoken_ms(self) -> int:
        """How much of it counts."""
        return self.sent_ms if self.until_ms is None else min(self.sent_ms, round(self.until_ms))

    @property
    def text(self) -> str:
        """The words of it; of a sentence that was broken off, an estimate."""
        return " ".join(segment.text for segment in self.segments())

    def stop(self, until_ms: float | None) -> None:
        """It was played no further than that."""
        self.until_ms, self._segments = until_ms, None

    def segments(self) -> list[Segment]:
        """It, as context; ask once it is over."""
        if self._segments is None:
            until = None if self.until_ms is None else self.until_ms / 1000 * self.speed
            self._segments = self.speech.said(until)
        return self._segments


def context(replies: Iterable[Heard], voice: str) -> list[Segment]:
    """What one voice said last, oldest first: whole turns, at most `CONTEXT_S` of them."""
    chosen: list[Segment] = []
    left = CONTEXT_S
    for reply in reversed(list(replies)):
        if reply.voice != voice:
            continue
        for segment in reversed(reply.segments()):
            assert segment.codes is not None
            left -= segment.codes.shape[1] * reply.frame_s
            if left < 0:
                return chosen[::-1]
            chosen.append(segment)
    return chosen[::-1]
