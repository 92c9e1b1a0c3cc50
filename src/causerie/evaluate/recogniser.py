"""What is heard in a sound, by Whisper base; knows nothing of what was to be said."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from causerie.audio.audio import Audio
from causerie.data import whisper as recognizer
from causerie.extras import need

#: The words of a sound that is not silent.
Recogniser: TypeAlias = Callable[[Audio], str]

SAMPLE_RATE = 16_000


class Whisper:
    """The recogniser that checks data too: int8, beam of 5, the same sound gives the same words.

    Args:
        threads: of the processor; 0: all.

    Raises:
        ConfigError: it is not installed.
    """

    def __init__(self, threads: int = 0) -> None:
        need("faster_whisper", "evaluate")  # whose absence is told as this extra's
        self.model = recognizer.Whisper(threads=threads)

    def __call__(self, audio: Audio) -> str:
        """The words of a sound."""
        return self.model(audio.resampled(SAMPLE_RATE))
