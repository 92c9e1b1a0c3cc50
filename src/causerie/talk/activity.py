"""The probability of speech in short frames of sound, by silero-vad as it is in faster-whisper."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from causerie.extras import need

#: Sample rate of all ears, in Hz, and samples of a frame: 32 ms.
RATE, FRAME = 16_000, 512
_CONTEXT = 64  # samples before a frame that the network sees too


class VoiceActivity(Protocol):
    """Hears whether there is speech."""

    def __call__(self, frame: NDArray[np.float32]) -> float:
        """The probability that the next frame (512,) at 16 kHz holds speech."""


class Silero:
    """silero-vad, whose weights are in the package faster-whisper.

    Raises:
        ConfigError: a package of the extra `talk` is missing.
    """

    def __init__(self) -> None:
        need("onnxruntime", "talk")
        self._session = need("faster_whisper.vad", "talk").get_vad_model().session
        self._state = [np.zeros((1, 1, 128), np.float32) for _ in "hc"]
        self._context = np.zeros(_CONTEXT, np.float32)

    def __call__(self, frame: NDArray[np.float32]) -> float:
        """See `VoiceActivity`."""
        samples = np.concatenate([self._context, frame])[None]
        h, c = self._state
        found, *self._state = self._session.run(None, {"input": samples, "h": h, "c": c})
        self._context = frame[-_CONTEXT:]
        return float(np.squeeze(found))
