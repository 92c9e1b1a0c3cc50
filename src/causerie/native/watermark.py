"""The watermark's filters in C++. Their reference is `causerie.watermark.mark.PlainFilters`."""

from __future__ import annotations

import functools
from ctypes import c_float, c_int64, c_void_p

import numpy as np
from numpy.typing import NDArray

from causerie.native.library import Library, load
from causerie.native.products import Floats, declare, pointer


class NativeFilters:
    """The filters of the halves of chips; the results equal those of numpy to the bit.

    Args:
        table: (halves + 1, taps), in units; the last filter adds nothing.
        unit: of the products of taps and samples.
        fade: weights of the new filter at the beginning of a half.
        half: samples of a half.
        knee: peaks above it are bent.
    """

    def __init__(
        self,
        table: NDArray[np.int16],
        unit: float,
        fade: Floats,
        half: int,
        knee: float,
        library: Library | None = None,
    ) -> None:
        num_rows, self._num_taps = table.shape
        assert self._num_taps in range(16, 513, 16), "the C++ side has room for 512 taps"
        self._kept = np.ascontiguousarray(table[:, ::-1]), fade  # in the order of the samples
        run = declare(
            library or load(), "causerie_watermark", None, c_void_p, c_int64, c_int64, c_float,
            c_void_p, c_int64, c_int64, c_float, c_int64, c_int64, c_void_p, c_int64, c_void_p,
        )  # fmt: skip
        self._apply = functools.partial(
            run, pointer(self._kept[0]), num_rows - 1, self._num_taps, unit, pointer(fade),
            len(fade), half, knee,
        )  # fmt: skip

    def apply(self, samples: Floats, first: int, position: int) -> Floats:
        """See `PlainFilters.apply`."""
        out = np.empty(len(samples) - self._num_taps + 1, np.float32)
        self._apply(first, position, pointer(samples), len(out), pointer(out))
        return out
