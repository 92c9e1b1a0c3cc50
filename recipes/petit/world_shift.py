"""Makes another voice of a voice, with WORLD: other pitch, other formants, same timing.

Knows nothing of teachers: a waveform in, one of the same length out.
"""

from __future__ import annotations

import numpy as np
import pyworld

SAMPLE_RATE = 24_000
PERIOD_MS = 5.0


def shift(wave: np.ndarray, pitch: float, formant: float, intonation: float) -> np.ndarray:
    """A waveform (N,) in another voice.

    Args:
        pitch: factor of the mean pitch.
        formant: factor of the resonances' frequencies; below 1 is a longer throat.
        intonation: factor of the pitch's distance from its mean, on a logarithmic scale.
    """
    pcm = wave.astype(np.float64)
    coarse, times = pyworld.dio(pcm, SAMPLE_RATE, frame_period=PERIOD_MS)
    pitches = pyworld.stonemask(pcm, coarse, times, SAMPLE_RATE)
    envelope = pyworld.cheaptrick(pcm, pitches, times, SAMPLE_RATE)
    noise = pyworld.d4c(pcm, pitches, times, SAMPLE_RATE)
    voiced = pitches > 0
    if voiced.any():
        mean = np.exp(np.log(pitches[voiced]).mean())
        pitches[voiced] = pitch * mean * (pitches[voiced] / mean) ** intonation
    spoken = pyworld.synthesize(
        pitches, stretched(envelope, formant), noise, SAMPLE_RATE, PERIOD_MS
    )
    shifted = np.zeros(len(wave), np.float32)
    size = min(len(wave), len(spoken))  # WORLD counts in whole periods
    shifted[:size] = spoken[:size]
    return shifted


def stretched(envelope: np.ndarray, factor: float) -> np.ndarray:
    """Power spectra (frames, bins) whose frequencies are multiplied; past the end, the last."""
    bins = envelope.shape[1]
    source = np.minimum(np.arange(bins) / factor, bins - 1)
    below = np.minimum(source.astype(int), bins - 2)
    share = source - below
    levels = np.log(envelope)
    return np.ascontiguousarray(
        np.exp(levels[:, below] * (1 - share) + levels[:, below + 1] * share)
    )
