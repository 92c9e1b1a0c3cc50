"""Finds speech by the voice activity detector Silero, which is part of faster-whisper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causerie.extras import need

#: Sample rate of detectors and recognizers.
RATE = 16_000
#: Samples per step of the detector: 32 ms.
STEP = 512
#: Speech begins above the first probability and ends below the second.
BEGINS, ENDS = 0.5, 0.35
#: Shorter pauses are part of speech; shorter speech is a click.
MIN_PAUSE_S, MIN_SPEECH_S = 0.2, 0.1

#: Returns the probability of speech (N / 512,) in each step of samples (N,) at 16 kHz.
Detector = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Span:
    """An interval in seconds."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


def silero() -> Detector:
    """Load the detector.

    Raises:
        ConfigError: the `data` extra is not installed.
    """
    model = need("faster_whisper.vad", "data").get_vad_model()

    def detect(samples: NDArray[np.float32]) -> NDArray[np.float32]:
        padded = np.pad(samples, (0, -len(samples) % STEP))
        out: NDArray[np.float32] = np.asarray(model(padded)).reshape(-1)
        return out

    return detect


def speech_spans(samples: NDArray[np.float32], detect: Detector) -> list[Span]:
    """Spans of speech in samples (N,) at 16 kHz, in order."""
    speaking, start = False, 0
    found: list[tuple[int, int]] = []
    probabilities = detect(samples)
    for step, probability in enumerate(probabilities):
        if not speaking and probability >= BEGINS:
            speaking, start = True, step
        elif speaking and probability < ENDS:
            speaking = False
            found.append((start, step))
    if speaking:
        found.append((start, len(probabilities)))
    duration_s, step_s = len(samples) / RATE, STEP / RATE
    joined: list[Span] = []
    for first, last in found:
        span = Span(first * step_s, min(last * step_s, duration_s))
        if joined and span.start_s - joined[-1].end_s < MIN_PAUSE_S:
            joined[-1] = Span(joined[-1].start_s, span.end_s)
        else:
            joined.append(span)
    return [span for span in joined if span.duration_s >= MIN_SPEECH_S]
