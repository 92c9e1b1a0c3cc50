"""Sounds for tests of the watermark: a host that is like speech to the detector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE = 24_000


def host(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Noise with the slope of speech, in syllables of different levels."""
    rng = np.random.default_rng(seed)
    size = round(seconds * RATE)
    spectrum = np.fft.rfft(rng.standard_normal(size))
    hz = np.fft.rfftfreq(size, 1 / RATE)
    noise = np.fft.irfft(spectrum / (1 + (hz / 800) ** 2) ** 0.5, size)
    level = np.repeat(rng.uniform(0.1, 1, size // 4800 + 2), 4800)[:size]
    smooth = np.convolve(level, np.hanning(1200) / 600, "same")
    sound = noise * smooth
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


def voice(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Like a high voice whose pitch moves: harmonics far from each other, and little between."""
    rng = np.random.default_rng(seed)
    size = round(seconds * RATE)
    places = np.linspace(0, 1, size)
    knots = rng.uniform(180, 260, 2 + round(4 * seconds))
    phase = 2 * np.pi * np.cumsum(np.interp(places, np.linspace(0, 1, len(knots)), knots)) / RATE
    harmonics = sum(np.sin(number * phase) / number for number in range(1, 31))
    sound = harmonics + rng.standard_normal(size) / 50
    sound *= 0.5 + np.abs(np.sin(7 * np.pi * seconds * places))
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)
