"""Mel-frequency cepstral coefficients of speech, 100 a second."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

HOP_S, WINDOW_S = 0.01, 0.025
NUM_BANDS, NUM_COEFFICIENTS = 26, 13
#: Coefficients and their slopes.
NUM_FEATURES = 2 * NUM_COEFFICIENTS
_LOW_HZ, _HIGH_HZ = 60.0, 7_600.0
_FLOOR = 1e-5  # of the loudest frame's energy in a band, so that silence is not a pattern
_BLOCK = 2_000


def features(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Features (T, 26) of samples (N,); the mean of the frames with speech is 0."""
    bands = _log_bands(samples, sample_rate)
    if not len(bands):
        return np.zeros((0, NUM_FEATURES), np.float32)
    cepstra = bands @ _cosines().T
    loud = bands.mean(1) > bands.mean(1).max() - 8.0
    cepstra -= cepstra[loud].mean(0)
    padded = np.pad(cepstra, ((2, 2), (0, 0)), mode="edge")
    slopes = (2 * (padded[4:] - padded[:-4]) + padded[3:-1] - padded[1:-3]) / 10
    joined: NDArray[np.float32] = np.concatenate([cepstra, 4 * slopes], axis=1).astype(np.float32)
    return joined


def _log_bands(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Log energies (T, 26) of mel bands."""
    hop, size = round(HOP_S * sample_rate), round(WINDOW_S * sample_rate)
    num_frames = len(samples) // hop
    if not num_frames:
        return np.zeros((0, NUM_BANDS), np.float32)
    before = (size - hop) // 2
    padded = np.pad(samples.astype(np.float32), (before, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][:num_frames]
    window, filters = np.hanning(size).astype(np.float32), _filters(sample_rate, size)
    bands = [
        np.abs(np.fft.rfft(frames[start : start + _BLOCK] * window)) ** 2 @ filters
        for start in range(0, num_frames, _BLOCK)
    ]
    energies = np.concatenate(bands)
    floor = max(float(energies.max()) * _FLOOR, 1e-12)
    logs: NDArray[np.float32] = np.log(np.maximum(energies, floor)).astype(np.float32)
    return logs


@cache
def _filters(sample_rate: int, size: int) -> NDArray[np.float32]:
    """Triangles (size // 2 + 1, 26), equally spaced on the mel scale."""

    def mel(hz: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(1127 * np.log1p(hz / 700))

    low, high = mel(np.array([_LOW_HZ, _HIGH_HZ])).tolist()
    edges = np.linspace(low, high, NUM_BANDS + 2)
    bins = mel(np.fft.rfftfreq(size, 1 / sample_rate))[:, None]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles: NDArray[np.float32] = np.clip(np.minimum(rise, fall), 0, None).astype(np.float32)
    return triangles


@cache
def _cosines() -> NDArray[np.float32]:
    """The discrete cosine transform (13, 26)."""
    order, band = np.arange(NUM_COEFFICIENTS)[:, None], np.arange(NUM_BANDS)[None]
    waves = np.sqrt(2 / NUM_BANDS) * np.cos(np.pi * order * (band + 0.5) / NUM_BANDS)
    matrix: NDArray[np.float32] = waves.astype(np.float32)
    return matrix
