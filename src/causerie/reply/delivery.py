"""Turns a reply's generated sound into what the listener gets: speed, pauses and the watermark.

Every reply passes here, and nothing else gives generated sound to a listener. Pauses have their
exact length at every speed. Does not know the engine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causerie.audio.formats import Change, check_speed
from causerie.watermark.mark import Marker, MarkState


class Delivery:
    """The sound of one reply.

    Args:
        frame_s: seconds of a frame of codes.
        marker: marks the sound; None leaves it as it is.
        speed: 2.0 is twice as fast, at the same pitch; other speeds than 1 need PyAV.

    Attributes:
        silent_text: of the latest samples, if they are a pause: as it is written. None for speech.
        lengths: of turns that ended and of pauses: whether it is a turn, and its samples.

    Raises:
        ConfigError: the speed is out of range, or PyAV is missing.
    """

    def __init__(
        self, sample_rate: int, frame_s: float, marker: Marker | None, speed: float = 1.0
    ) -> None:
        check_speed(speed)
        self._sample_rate, self._frame_s, self._speed = sample_rate, frame_s, float(speed)
        self._change = Change(sample_rate, sample_rate, self._speed)
        self._marker = marker
        self._mark: MarkState | None = None  # from the first turn on
        self._spans: list[tuple[bool, float]] = []  # whether it is speech, and its seconds
        self.silent_text: str | None = None
        self.lengths: list[tuple[bool, int]] = []
        self._num_samples = 0  # of the current turn

    def begin_turn(self, seed: int, text: bytes) -> None:
        """Begin a turn; the mark begins where the seed and the first text say.

        Args:
            text: its tokens, so that markup and spelling make no difference.
        """
        if self._marker is not None and self._mark is None:
            self._mark = self._marker.begin(seed, text)

    def speech(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        """The samples that are ready after these, perhaps none."""
        self._add(True, len(pcm) / self._sample_rate)
        ready = self._change.add(pcm)
        self._num_samples += len(ready)
        return self._marked(ready)

    def end_turn(self) -> NDArray[np.float32]:
        """The remaining samples of a turn."""
        rest = self._change.finish()
        self._change = Change(self._sample_rate, self._sample_rate, self._speed)
        self.lengths.append((True, self._num_samples + len(rest)))
        self._num_samples = 0
        return self._marked(rest)

    def silence(self, seconds: float, text: str) -> NDArray[np.float32]:
        """The samples of a pause between turns."""
        self._add(False, seconds)
        self.silent_text = text
        silence = np.zeros(round(seconds * self._sample_rate), np.float32)
        self.lengths.append((False, len(silence)))
        if self._mark is None:  # no turn has begun, so there is no sound
            return silence
        return self._marked(silence)

    def frames_until(self, seconds: float) -> int:
        """The number of whole frames in the first seconds that the listener gets."""
        frames, left = 0.0, seconds
        for is_speech, length in self._spans:
            taken = min(left, length / self._speed if is_speech else length)
            if is_speech:
                frames += taken * self._speed / self._frame_s
            left -= taken
        return int(frames + 1e-6)

    def _marked(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._marker is None:
            return pcm
        assert self._mark is not None, "a turn must begin before its speech"
        return self._marker.mark(pcm, self._mark)

    def _add(self, is_speech: bool, seconds: float) -> None:
        self.silent_text = None
        if self._spans and self._spans[-1][0] == is_speech:
            seconds += self._spans.pop()[1]
        self._spans.append((is_speech, seconds))
