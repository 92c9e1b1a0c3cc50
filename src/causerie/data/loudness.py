"""Measures and levels loudness, by ITU-R BS.1770."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from causerie.extras import need

#: Loudness of speech after levelling, as in broadcasts (EBU R 128).
TARGET_LUFS = -23.0
#: Largest sample after levelling.
MAX_PEAK = 0.98
#: Loudness of silence, which meters cannot measure.
SILENCE_LUFS = -100.0


def loudness(pieces: Sequence[NDArray[np.float32]], sample_rate: int) -> float:
    """The loudness in LUFS of joined pieces (N,), at least -100."""
    samples = np.concatenate(pieces).astype(np.float64)
    block_s = 0.4
    samples = np.pad(samples, (0, max(0, round(block_s * sample_rate) + 1 - len(samples))))
    meter = need("pyloudnorm", "data").Meter(sample_rate, block_size=block_s)
    return max(SILENCE_LUFS, float(meter.integrated_loudness(samples)))


def gain(pieces: Sequence[NDArray[np.float32]], measured_lufs: float) -> tuple[float, bool]:
    """The gain that levels pieces of this loudness, and whether their peaks limit it."""
    wanted = 10 ** ((TARGET_LUFS - measured_lufs) / 20)
    peak = max(float(np.abs(piece).max()) for piece in pieces)
    allowed = MAX_PEAK / max(peak, 1e-9)
    return min(wanted, allowed), allowed < wanted
