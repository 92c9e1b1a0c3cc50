"""Converts sound to one channel and to another sample rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import soxr
from numpy.typing import ArrayLike, NDArray

from causerie.errors import AudioError

#: Sample rates outside this range are mistakes (a duration, a rate in kHz).
MIN_RATE, MAX_RATE = 1_000, 768_000
#: Channels whose mean has less than this share of their power cancel each other, unless they are
#: nearly silent.
CANCELLED, AUDIBLE = 1e-3, 1e-7


def mono(samples: ArrayLike, name: str = "audio") -> NDArray[np.float32]:
    """Samples (N,) of one channel, fp32, full scale 1, from (N,), (C, N) or (N, C).

    The shorter side of a two-dimensional array is the channels, which are averaged.
    Integers are scaled by the range of their type.

    Raises:
        AudioError: the samples are empty, not finite, or have another shape.
    """
    array: NDArray[Any] = np.asarray(samples)
    if array.dtype.kind not in "iuf":
        raise AudioError(f"{name} must be an array of numbers, not of {array.dtype}")
    if array.ndim not in (1, 2):
        raise AudioError(
            f"{name} must have the shape (samples,) or (channels, samples), not {array.shape}"
        )
    if array.size == 0:
        raise AudioError(f"{name} is empty: it has no samples")
    if array.dtype.kind in "iu":
        info = np.iinfo(array.dtype)
        middle = 0 if array.dtype.kind == "i" else (info.max + 1) // 2
        array = (array.astype(np.float64) - middle) / (info.max + 1 - middle)
    if array.ndim == 2:
        array = mix(array, int(np.argmin(array.shape)), name)
    if not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise AudioError(f"{name} holds {bad:,} samples that are not finite numbers (NaN or inf)")
    return np.ascontiguousarray(array, dtype=np.float32)


def mix(channels: NDArray[Any], axis: int, name: str = "audio") -> NDArray[np.float64]:
    """The mean of the channels, which are along an axis.

    Raises:
        AudioError: they cancel each other.
    """
    mixed: NDArray[np.float64] = channels.mean(axis=axis, dtype=np.float64)
    power = np.square(channels, dtype=np.float64).mean()
    check_mixed(float(power), float(np.square(mixed).mean()), name)
    return mixed


def check_mixed(power: float, mixed_power: float, name: str = "audio") -> None:
    """Raise AudioError if channels of this mean power cancel each other in their mean."""
    if power > AUDIBLE and mixed_power < CANCELLED * power:
        raise AudioError(f"the channels of {name} cancel each other: give one of them alone")


def resample(
    samples: NDArray[np.float32], from_rate: int, to_rate: int, name: str = "audio"
) -> NDArray[np.float32]:
    """Samples (N,) at another rate, by soxr in high quality.

    Raises:
        AudioError: a rate is out of range, or the result is empty.
    """
    for rate in (from_rate, to_rate):
        check_rate(rate, name)
    if from_rate == to_rate:
        return samples
    out: NDArray[np.float32] = soxr.resample(samples, from_rate, to_rate, quality="HQ")
    if not out.size:
        raise AudioError(f"{name} is too short: {samples.size} samples at {from_rate} Hz")
    return out


class StreamResampler:
    """`resample` for sound that arrives in pieces: the same samples, however it is cut.

    Raises:
        AudioError: a rate is out of range.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        for rate in (from_rate, to_rate):
            check_rate(rate)
        self._stream: soxr.ResampleStream | None = None
        if from_rate != to_rate:
            self._stream = soxr.ResampleStream(from_rate, to_rate, 1, "float32", "HQ")

    def add(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The output that is ready after these samples (N,)."""
        return self._next(samples, is_last=False)

    def finish(self) -> NDArray[np.float32]:
        """The remaining output."""
        return self._next(np.zeros(0, np.float32), is_last=True)

    def _next(self, samples: NDArray[np.float32], *, is_last: bool) -> NDArray[np.float32]:
        if self._stream is None:
            return samples
        out: NDArray[np.float32] = self._stream.resample_chunk(samples, last=is_last)
        return out


def check_rate(rate: object, name: str = "audio") -> None:
    """Raise AudioError if this cannot be a sample rate in Hz."""
    if not isinstance(rate, (int, np.integer)) or not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError(
            f"{name} has a sample rate of {rate!r}; give it in Hz, a whole number such as 24000"
        )
