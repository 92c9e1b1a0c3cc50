"""What a sound says about the chips: at every moment, how much louder each lower band became.

It does not depend on a key. So, in sound without the mark, the signs of a key are like coins that
are tossed after the sound, and chance can be computed whatever the sound is.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causerie.watermark.pattern import EDGES_HZ, NUM_CHIPS, NUM_PAIRS

Floats = NDArray[np.float32]

#: The rate at which sound is examined, samples of a spectrum, and samples between spectra: 5 ms.
RATE, NUM_POINTS, HOP = 16_000, 512, 80
#: Spectra of a chip, and of its half.
STEPS, HALF_STEPS = 16, 8
#: A band counts where it is some dB above its quietest tenth, and not far below the loudest band.
ABOVE_FLOOR_DB, BELOW_PEAK_DB, SOFTNESS_DB = 4.0, 55.0, 5.0
#: A difference in dB above which more of it proves hardly more.
LARGE_DB = 1.5
#: Power of silence, relative to full scale.
SILENCE = 1e-12


@dataclass(frozen=True, kw_only=True)
class Warp:
    """How sound was stretched after it was marked.

    Attributes:
        speed: its tempo; 1.05 is 5 % faster.
        pitch: the factor of its frequencies.
    """

    speed: float = 1.0
    pitch: float = 1.0


STRAIGHT = Warp()


class Spectra:
    """The power spectra of a sound at 16 kHz (N,), from which each warp takes its evidence."""

    def __init__(self, samples: Floats) -> None:
        padded = np.pad(samples, (0, max(0, NUM_POINTS - len(samples))))
        frames = np.lib.stride_tricks.sliding_window_view(padded, NUM_POINTS)[::HOP]
        window = np.hanning(NUM_POINTS + 1)[:-1].astype(np.float32)
        spectra = np.fft.rfft(frames * window)
        self._power = np.square(np.abs(spectra)).astype(np.float32)  # (T, frequencies)

    def evidence(self, warp: Warp = STRAIGHT) -> Floats:
        """The evidence (chips, steps of a chip, pairs), folded by the length of the pattern.

        An entry is large and positive if the lower band of its pair was louder in the first half
        of a chip that began at that step than in its second half.
        """
        bands = self._power @ _band_weights(warp.pitch)
        level = 10 * np.log10(np.maximum(bands, SILENCE, dtype=np.float32))
        if warp.speed != 1:
            level = _stretched(level, warp.speed)
        if len(level) < STEPS:
            return np.zeros((NUM_CHIPS, STEPS, NUM_PAIRS), np.float32)
        floor = np.percentile(level, 10, axis=0).astype(np.float32)
        reliable = _share(floor + ABOVE_FLOOR_DB - level)
        reliable *= _share(level.max() - BELOW_PEAK_DB - level)
        weight = np.sqrt(reliable[:, 0::2] * reliable[:, 1::2])
        weighted = weight * (level[:, 0::2] - level[:, 1::2])
        weights = _sums(weight)
        means = _sums(weighted) / np.maximum(weights, 1e-9)
        change = (means[:-HALF_STEPS] - means[HALF_STEPS:]) / 2
        first, second = weights[:-HALF_STEPS], weights[HALF_STEPS:]
        both = 2 * first * second / np.maximum(first + second, 1e-9) / HALF_STEPS
        return _folded(both * change / np.sqrt(1 + np.square(change / LARGE_DB)))


def _share(below_db: Floats) -> Floats:
    """From 1 where a level is far above a limit to 0 where it is far below."""
    exponent = np.clip(below_db / SOFTNESS_DB, -10, 10)
    share: Floats = 1 / (1 + np.float32(10) ** exponent)
    return share


def _sums(values: Floats) -> Floats:
    """Sums over half a chip, from each step on."""
    total = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=total[1:])
    sums: Floats = (total[HALF_STEPS:] - total[:-HALF_STEPS]).astype(np.float32)
    return sums


def _folded(values: Floats) -> Floats:
    """Sums over all repetitions of the pattern (chips, steps, pairs)."""
    size = NUM_CHIPS * STEPS
    padded = np.pad(values, ((0, -len(values) % size), (0, 0)))
    folded: Floats = padded.reshape(-1, NUM_CHIPS, STEPS, values.shape[1]).sum(axis=0)
    return folded


def _stretched(level: Floats, speed: float) -> Floats:
    """Levels (T, bands) as they were before the tempo was changed."""
    times = np.arange(0, len(level) - 1, 1 / speed)
    left = times.astype(np.intp)
    part = (times - left).astype(np.float32)[:, None]
    return level[left] * (1 - part) + level[left + 1] * part


@functools.lru_cache(64)
def _band_weights(pitch: float) -> Floats:
    """The share of each frequency in each band (frequencies, bands)."""
    bin_hz = RATE / NUM_POINTS
    centres = np.arange(NUM_POINTS // 2 + 1)[:, None]
    edges = np.clip(EDGES_HZ * pitch / bin_hz - (centres - 0.5), 0, 1)
    weights: Floats = np.diff(edges, axis=1).astype(np.float32)
    return weights
