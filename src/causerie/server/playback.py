"""The part of a conversation that the listener has heard: the context of the next reply.

A reply that was interrupted counts only as far as it was played. Knows no protocol.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from causerie.prompt import Segment
from causerie.reply.async_stream import AsyncStream

#: Seconds of the latest audio that are the context of the next reply.
CONTEXT_S = 40.0


@dataclass(eq=False)
class Playback:
    """A reply, and how much of it was played.

    Attributes:
        until_ms: when the playback was stopped; None: all that was sent is played.
    """

    reply: AsyncStream
    voice: str
    until_ms: float | None = None
    _num_samples: int = field(default=0, repr=False)
    _segments: list[Segment] | None = field(default=None, repr=False)

    def add(self, pcm: NDArray[np.float32]) -> None:
        """Count audio that is sent."""
        self._num_samples += len(pcm)

    @property
    def sent_ms(self) -> int:
        """Playing time of the audio that was sent."""
        return round(1000 * self._num_samples / self.reply.sample_rate)

    @property
    def frame_s(self) -> float:
        """Seconds of audio in a frame of codes."""
        return self.reply.frame_s

    @property
    def played_ms(self) -> int:
        """Playing time of the audio that was heard."""
        return self.sent_ms if self.until_ms is None else min(self.sent_ms, round(self.until_ms))

    @property
    def text(self) -> str:
        """The words that were heard; an estimate in a sentence that was interrupted."""
        return " ".join(segment.text for segment in self.segments())

    def stop(self, until_ms: float | None) -> None:
        """Record that the reply was played up to this time only."""
        self.until_ms, self._segments = until_ms, None

    def segments(self) -> list[Segment]:
        """The reply as context; call after it ended."""
        if self._segments is None:
            until_s = None if self.until_ms is None else self.until_ms / 1000
            self._segments = self.reply.said(until_s)
        return self._segments


def context_of(replies: Iterable[Playback], voice: str) -> list[Segment]:
    """The latest turns of one voice, oldest first: whole ones, at most `CONTEXT_S` of audio."""
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
