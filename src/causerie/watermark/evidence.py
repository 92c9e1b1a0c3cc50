"""What a sound says about the chips: at every moment, how much louder each lower band became.

It does not depend on a key. So, in sound without the mark, the signs of a key are like coins that
are tossed after the sound, and chance can be computed whatever the sound is.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causerie.watermark.pattern import (
    EDGES_HZ,
    NUM_CHIPS,
    NUM_PAIRS,
    STRENGTH_DB,
    STRENGTH_HZ,
)

Floats = NDArray[np.float32]

#: The rate at which sound is examined, samples of a spectrum, and samples between spectra: 5 ms.
RATE, NUM_POINTS, HOP = 16_000, 512, 80
#: Spectra of a chip, and of its half.
STEPS, HALF_STEPS = 16, 8
#: What a frequency is compared with: the mean power this far around it counts as its surroundings,
#: and their mean level this far around it is what is expected of it. (Deviations of bells, in Hz.)
NEAR_HZ, EXPECTED_HZ = 150.0, 200.0
#: A frequency counts where it is no valley between harmonics: not far below its surroundings.
BELOW_NEAR_DB, NEAR_SOFTNESS_DB = 6.0, 10.0
#: And where these are some dB above their quietest twentieth.
QUIET_PERCENT, ABOVE_FLOOR_DB, FLOOR_SOFTNESS_DB = 5, 2.0, 5.0
#: A change in dB above which more of it proves hardly more.
LARGE_DB = 2.5
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
    """The levels of a sound at 16 kHz (N,), from which each warp takes its evidence.

    A level is compared with those around it, so loudness and vowels cancel. The valleys between the
    harmonics of a voice hardly count: they hold what leaks from harmonics of other bands.
    """

    def __init__(self, samples: Floats) -> None:
        padded = np.pad(samples, (0, max(0, NUM_POINTS - len(samples))))
        frames = np.lib.stride_tricks.sliding_window_view(padded, NUM_POINTS)[::HOP]
        window = np.hanning(NUM_POINTS + 1)[:-1].astype(np.float32)
        power = np.square(np.abs(np.fft.rfft(frames * window))).astype(np.float32)
        level, near = _decibels(power), _decibels(power @ _bells(NEAR_HZ))
        floor = np.percentile(near, QUIET_PERCENT, axis=0).astype(np.float32)
        weight = _share(near - BELOW_NEAR_DB - level, NEAR_SOFTNESS_DB)
        weight *= _share(floor + ABOVE_FLOOR_DB - near, FLOOR_SOFTNESS_DB)
        bells = _bells(EXPECTED_HZ)
        expected = ((weight * level) @ bells) / np.maximum(weight @ bells, 1e-6)
        # (2, T, frequencies): the weights, and by how much levels exceed what is expected.
        self._weighted = np.stack([weight, weight * (level - expected)])
        self._bands: dict[float, Floats] = {}

    def evidence(self, warp: Warp = STRAIGHT) -> Floats:
        """The evidence (chips, steps of a chip, pairs), folded by the length of the pattern.

        An entry is large and positive if the lower band of its pair was louder in the first half
        of a chip that began at that step than in its second half, and the upper band quieter.
        """
        bands = self._in_bands(warp.pitch)
        if warp.speed != 1:
            bands = _stretched(bands, warp.speed)
        if bands.shape[1] < STEPS:
            return np.zeros((NUM_CHIPS, STEPS, NUM_PAIRS), np.float32)
        weights, excess = _sums(bands)
        mean = excess / np.maximum(weights, 1e-9)
        change = (mean[:-HALF_STEPS] - mean[HALF_STEPS:]) / 2
        first, second = weights[:-HALF_STEPS], weights[HALF_STEPS:]
        both = 2 * first * second / np.maximum(first + second, 1e-9) / HALF_STEPS
        proof = np.sqrt(both) * change / np.sqrt(1 + np.square(change / LARGE_DB))
        proof *= _band_strengths()
        return _folded(proof[:, 0::2] - proof[:, 1::2])

    def _in_bands(self, pitch: float) -> Floats:
        """Means of the weights and of the weighted excess in each band (2, T, bands)."""
        if pitch not in self._bands:
            shares = _band_shares(pitch)
            self._bands[pitch] = self._weighted @ (shares / shares.sum(axis=0))
        return self._bands[pitch]


def _decibels(power: Floats) -> Floats:
    level: Floats = 10 * np.log10(np.maximum(power, SILENCE, dtype=np.float32))
    return level


def _share(below_db: Floats, softness_db: float) -> Floats:
    """From 1 where a level is far above a limit to 0 where it is far below."""
    exponent = np.clip(below_db * np.float32(math.log(10) / softness_db), -23, 23)
    share: Floats = 1 / (1 + np.exp(exponent))
    return share


def _sums(values: Floats) -> Floats:
    """Sums over half a chip, from each step on (..., T, bands)."""
    total = np.zeros((*values.shape[:-2], values.shape[-2] + 1, values.shape[-1]))
    np.cumsum(values, axis=-2, out=total[..., 1:, :])
    sums = total[..., HALF_STEPS:, :] - total[..., :-HALF_STEPS, :]
    return sums.astype(np.float32)


def _folded(values: Floats) -> Floats:
    """Sums over all repetitions of the pattern (chips, steps, pairs)."""
    size = NUM_CHIPS * STEPS
    padded = np.pad(values, ((0, -len(values) % size), (0, 0)))
    folded: Floats = padded.reshape(-1, NUM_CHIPS, STEPS, values.shape[1]).sum(axis=0)
    return folded


def _stretched(values: Floats, speed: float) -> Floats:
    """Values (..., T, bands) as they were before the tempo was changed."""
    times = np.arange(0, values.shape[-2] - 1, 1 / speed)
    # Rounding may end the times at the last value, which has none after it.
    left = np.minimum(times.astype(np.intp), values.shape[-2] - 2)
    part = (times - left).astype(np.float32)[:, None]
    stretched: Floats = values[..., left, :] * (1 - part) + values[..., left + 1, :] * part
    return stretched


@functools.cache
def _bells(hz: float) -> Floats:
    """Bells around each frequency, for means over its surroundings (frequencies, frequencies)."""
    places = np.arange(NUM_POINTS // 2 + 1) * RATE / NUM_POINTS
    bells = np.exp(-np.square((places[:, None] - places) / hz) / 2)
    means: Floats = (bells / bells.sum(axis=0)).astype(np.float32)
    return means


@functools.cache
def _band_strengths() -> Floats:
    """How strongly each band is marked: what is stronger proves more."""
    centres = (EDGES_HZ[1:] + EDGES_HZ[:-1]) / 2
    return np.interp(centres, STRENGTH_HZ, STRENGTH_DB).astype(np.float32)


@functools.lru_cache(64)
def _band_shares(pitch: float) -> Floats:
    """The share of each frequency in each band (frequencies, bands)."""
    bin_hz = RATE / NUM_POINTS
    centres = np.arange(NUM_POINTS // 2 + 1)[:, None]
    edges = np.clip(EDGES_HZ * pitch / bin_hz - (centres - 0.5), 0, 1)
    shares: Floats = np.diff(edges, axis=1).astype(np.float32)
    return shares
