"""The watermark's filters in C++. Their reference is `causerie.watermark.mark.PlainFilters`."""

from __future__ import annotations

from ctypes import c_int64, c_void_p

import numpy as np

from causerie.native.library import Library, load
from causerie.native.products import Floats, declare, pointer


class NativeFilters:
    """The filters of the halves of chips; the results equal those of numpy to the bit.

    Args:
        table: (halves + 1, taps); the last filter changes nothing.
        fade: weights of the new filter at the beginning of a half.
        half: samples of a half.
    """

    def __init__(
        self, table: Floats, fade: Floats, half: int, library: Library | None = None
    ) -> None:
        assert table.shape[1] in range(16, 1025, 16), "the C++ side has room for 1,024 taps"
        self._table, self._fade, self._half = np.ascontiguousarray(table), fade, half
        self._apply = declare(
            library or load(), "causerie_watermark", None, c_void_p, c_int64, c_int64, c_void_p,
            c_int64, c_int64, c_int64, c_int64, c_void_p, c_int64, c_void_p,
        )  # fmt: skip

    def apply(self, samples: Floats, first: int, position: int) -> Floats:
        """See `PlainFilters.apply`."""
        num_rows, num_taps = self._table.shape
        out = np.empty(len(samples) - num_taps + 1, np.float32)
        self._apply(
            pointer(self._table), num_rows - 1, num_taps, pointer(self._fade), len(self._fade),
            self._half, first, position, pointer(samples), len(out), pointer(out),
        )  # fmt: skip
        return out
