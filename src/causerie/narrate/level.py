"""Keeps the level of a long text constant, and leaves what happens within a paragraph alone.

The level of a part is its gated RMS: the power of the blocks of 400 ms that are not pauses, found
as in ITU-R BS.1770 (an absolute gate, then one 10 dB below the mean), but without the weighting of
frequencies, which makes no difference to one voice. The gain of a part follows the mean level of
the part and its neighbours, and moves in a straight line from the middle of a part to the middle of
the next.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

#: Level of the speech, in dB of full scale: within what audiobook shops accept, -23 to -18.
TARGET_DB = -22.0
SILENCE_DB = -100.0
#: Largest change of a part's level.
MAX_GAIN_DB = 20.0
MAX_PEAK = 0.98
#: Seconds around a higher peak in which the gain falls and rises.
LIMIT_S = 0.02
_BLOCK_S, _STEP_S = 0.4, 0.1
_ABSOLUTE_GATE_DB, _RELATIVE_GATE_DB = -60.0, -10.0


def level_db(samples: NDArray[np.float32], sample_rate: int) -> float:
    """The gated RMS of samples (N,), in dB of full scale; -100 for silence."""
    step = round(_STEP_S * sample_rate)
    size = round(_BLOCK_S / _STEP_S)
    num_steps = max(size, -(-len(samples) // step))
    padded = np.pad(samples.astype(np.float64), (0, num_steps * step - len(samples)))
    powers = (padded.reshape(num_steps, step) ** 2).mean(1)
    blocks = np.convolve(powers, np.full(size, 1 / size), "valid")
    loud = blocks[blocks > 10 ** (_ABSOLUTE_GATE_DB / 10)]
    if not len(loud):
        return SILENCE_DB
    gated = loud[loud > loud.mean() * 10 ** (_RELATIVE_GATE_DB / 10)]
    return float(10 * np.log10(gated.mean()))


def gains_db(levels: Sequence[float], seconds: Sequence[float]) -> list[float]:
    """The gain at the middle of each part: the target less the level around it.

    Args:
        levels: of the parts.
        seconds: their lengths, by which neighbours are weighted.
    """
    gains: list[float] = []
    for number in range(len(levels)):
        near = range(max(0, number - 1), min(len(levels), number + 2))
        heard = [at for at in near if levels[at] > SILENCE_DB and seconds[at]]
        if not heard:
            gains.append(0.0)
            continue
        weights = [seconds[at] for at in heard]
        powers = [10 ** (levels[at] / 10) for at in heard]
        level = 10 * np.log10(np.average(powers, weights=weights))
        gains.append(float(np.clip(TARGET_DB - level, -MAX_GAIN_DB, MAX_GAIN_DB)))
    return gains


def levelled(
    samples: NDArray[np.float32], sample_rate: int, before: float, own: float, after: float
) -> NDArray[np.float32]:
    """Samples (N,) with a gain that moves to and from the gains of the neighbours.

    Args:
        before, own, after: gains in dB in the middle of the part before, of this one, and of the
            part after.
    """
    count = len(samples)
    if not count:
        return samples
    places = [0, count / 2, count]
    curve = np.interp(np.arange(count), places, [(before + own) / 2, own, (own + after) / 2])
    return _limited(samples * (10 ** (curve / 20)).astype(np.float32), sample_rate)


def _limited(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Samples (N,) whose peaks are at most `MAX_PEAK`; only the sound around them is softer."""
    gain = MAX_PEAK / np.maximum(np.abs(samples), MAX_PEAK)
    if gain.min() == 1:
        return samples
    half = round(LIMIT_S * sample_rate / 2)
    # The mean of minima over a window is at most the gain that its middle needs.
    for reduce in np.min, np.mean:
        windows = sliding_window_view(np.pad(gain, half, mode="edge"), 2 * half + 1)
        gain = reduce(windows, axis=1)
    limited: NDArray[np.float32] = samples * gain.astype(np.float32)
    return np.clip(limited, -MAX_PEAK, MAX_PEAK)  # the rounding of float32
