"""Threads and packed weights of the C++ side, as Python objects.

Knows nothing about models. Arrays are fp32 and contiguous; the C++ side copies them.
"""

from __future__ import annotations

from ctypes import c_int, c_int64, c_void_p
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from causerie.native.library import Library, load

#: Storage of weights: see gemm.hpp.
Format = Literal["float32", "bfloat16", "int8", "int5", "int4"]
FORMATS: dict[Format, int] = {"float32": 0, "bfloat16": 1, "int8": 2, "int5": 4, "int4": 3}

#: Rows of weights per panel.
PANEL = 16

Floats = NDArray[np.float32]


def declare(library: Library, name: str, result: Any, *arguments: Any) -> Any:
    """A function of the library, with its types."""
    function = getattr(library.functions, name)
    function.restype, function.argtypes = result, arguments
    return function


def pointer(array: NDArray[Any]) -> c_void_p:
    """The address of an array, which must outlive the call."""
    assert array.flags.c_contiguous
    return c_void_p(array.ctypes.data)


class Pool:
    """Threads that share the work of one call at a time; 0 uses all that this process may use."""

    def __init__(self, num_threads: int = 0, library: Library | None = None) -> None:
        self.library = library or load()
        new = declare(self.library, "causerie_pool_new", c_void_p, c_int)
        self._delete = declare(self.library, "causerie_pool_delete", None, c_void_p)
        self.handle = c_void_p(new(num_threads))

    @property
    def num_threads(self) -> int:
        count = declare(self.library, "causerie_pool_threads", c_int, c_void_p)
        return int(count(self.handle))

    def __del__(self) -> None:
        if hasattr(self, "handle"):
            self._delete(self.handle)


class Packed:
    """Weights (N, K), packed for products with rows of K inputs.

    Several matrices are stacked, each from the next multiple of sixteen rows on.

    Args:
        plain: store bf16 in 16 bits, not compacted: for comparison.
    """

    def __init__(self, pool: Pool, form: Format, *matrices: Floats, plain: bool = False) -> None:
        self.library = library = pool.library
        k = matrices[0].shape[1]
        firsts = [0]
        for matrix in matrices:
            firsts.append(firsts[-1] + -(-len(matrix) // PANEL) * PANEL)
        self.shape = (firsts[-2] + len(matrices[-1]), k)
        new = declare(library, "causerie_packed_new", c_void_p, c_int64, c_int64, c_int, c_int)
        add = declare(
            library, "causerie_pack_rows", None, c_void_p, c_void_p, c_int64, c_void_p, c_int64,
            c_int64,
        )  # fmt: skip
        self._delete = declare(library, "causerie_packed_delete", None, c_void_p)
        self.handle = c_void_p(new(*self.shape, FORMATS[form], int(plain)))
        for first, matrix in zip(firsts, matrices, strict=False):
            assert matrix.dtype == np.float32
            assert matrix.shape[1] == k
            add(pool.handle, self.handle, first, pointer(matrix), len(matrix), k)

    @property
    def num_bytes(self) -> int:
        count = declare(self.library, "causerie_packed_bytes", c_int64, c_void_p)
        return int(count(self.handle))

    def __del__(self) -> None:
        if hasattr(self, "handle"):
            self._delete(self.handle)


def gemm(
    pool: Pool, weights: Packed, x: Floats, bias: Floats | None = None, add_to: Floats | None = None
) -> Floats:
    """The product of x (M, K) and the transposed weights, plus bias (N,) and `add_to` (M, N)."""
    m, k = x.shape
    assert k == weights.shape[1]
    y = np.zeros((m, weights.shape[0]), np.float32) if add_to is None else add_to.copy()
    run = declare(
        pool.library, "causerie_gemm", None, c_void_p, c_void_p, c_void_p, c_int64, c_int64,
        c_void_p, c_int64, c_void_p, c_int,
    )  # fmt: skip
    run(
        pool.handle, weights.handle, pointer(x), m, k, pointer(y), y.shape[1],
        None if bias is None else pointer(bias), int(add_to is not None),
    )  # fmt: skip
    return y
