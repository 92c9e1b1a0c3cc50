"""Changes pitch and formants of a waveform with WORLD, keeping its timing."""

from __future__ import annotations

import numpy as np
import pyworld

SAMPLE_RATE = 24_000
PERIOD_MS = 5.0


def shift(wave: np.ndarray, pitch: float, formant: float, intonation: float) -> np.ndarray:
    """The waveform (N,) in another voice.

    Args:
        pitch: factor of the mean pitch.
        formant: factor of the resonances' frequencies; below 1 is a longer vocal tract.
        intonation: factor of the log pitch's distance from its mean.
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
    spoken = pyworld.synthesize(pitches, stretch(envelope, formant), noise, SAMPLE_RATE, PERIOD_MS)
    shifted = np.zeros(len(wave), np.float32)
    size = min(len(wave), len(spoken))  # WORLD counts in whole periods
    shifted[:size] = spoken[:size]
    return shifted


def stretch(envelope: np.ndarray, factor: float) -> np.ndarray:
    """Power spectra (frames, bins) with frequencies multiplied; the last bin fills the end."""
    bins = envelope.shape[1]
    source = np.minimum(np.arange(bins) / factor, bins - 1)
    below = np.minimum(source.astype(int), bins - 2)
    share = source - below
    levels = np.log(envelope)
    return np.ascontiguousarray(
        np.exp(levels[:, below] * (1 - share) + levels[:, below + 1] * share)
    )
