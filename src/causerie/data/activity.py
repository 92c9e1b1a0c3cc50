"""Where somebody speaks: by the voice activity detector Silero, which comes with faster-whisper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causerie.extras import need

#: Sample rate that detectors and recognisers take.
RATE = 16_000
#: Samples to a step of the detector: 32 ms.
STEP = 512
#: Speech begins above the first and ends below the second.
BEGINS, ENDS = 0.5, 0.35
#: Pauses shorter than this are part of speech; speech shorter than this is a click.
MIN_PAUSE_S, MIN_SPEECH_S = 0.2, 0.1

#: From samples (N,) at 16 kHz to the probability of speech in each step of 512: (N / 512,).
Detector = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Span:
    """From one time to another, in seconds."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


def silero() -> Detector:
    """The detector.

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
