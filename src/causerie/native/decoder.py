"""A decoder of the codec in C++: a frame of codes in, a frame of audio out, for numbered slots.

What the decoders share; mimi.py and source_filter.py give the weights. The audio of a slot depends,
to the bit, on its own codes only: not on other slots or the number of threads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from ctypes import Structure, byref, c_int, c_int64, c_void_p
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causerie.codec.mimi import Mimi
from causerie.native.products import FORMATS, Floats, Pool, declare, pointer

#: Storage of the weights, those of the codebooks excepted.
Weights = Literal["float32", "bfloat16"]


class SlotDecoder(ABC):
    """Decodes `num_slots` streams of codes, each of which starts from silence."""

    #: The C++ functions begin with this.
    _prefix: ClassVar[str]

    def __init__(
        self,
        codec: Mimi,
        num_slots: int,
        num_threads: int | None = None,
        weights: Weights = "float32",
        pool: Pool | None = None,
    ) -> None:
        """Pack the weights of a codec; the codec may be deleted after that.

        Args:
            num_threads: all cores by default.
            weights: "bfloat16" is faster and not exact; the codebooks are always fp32.
            pool: threads to share, in place of `num_threads` of its own.
        """
        assert num_threads is None or pool is None
        self.config, self.num_slots = codec.config, num_slots
        self.pool = pool or Pool(num_threads or 0)
        self._declare()
        arrays = list(self._arrays(codec))
        assert all(array.flags.c_contiguous for array in arrays)
        self._centroids = arrays[:2]  # the only ones that are not copied
        handle = self._new(
            self.pool.handle,
            byref(self._sizes(codec)),
            (c_void_p * len(arrays))(*(array.ctypes.data for array in arrays)),
            (c_int64 * len(arrays))(*(array.size for array in arrays)),
            len(arrays),
            num_slots,
            FORMATS[weights],
        )
        assert handle, "the C++ side expects other arrays"
        self._handle = c_void_p(handle)

    @abstractmethod
    def _sizes(self, codec: Mimi) -> Structure:
        """``Sizes`` of the C++ side."""

    @abstractmethod
    def _arrays(self, codec: Mimi) -> Iterator[Floats]:
        """The weights in the order in which the C++ side reads them, fp32 and contiguous."""

    def _declare(self) -> None:
        def function(name: str, result: Any, *arguments: Any) -> Any:
            return declare(self.pool.library, f"{self._prefix}_{name}", result, *arguments)

        self._new = function(
            "new", c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_int64, c_int64, c_int
        )
        self._delete = function("delete", None, c_void_p)
        self._reset = function("reset", None, c_void_p, c_int64)
        self._decode = function(
            "decode", None, c_void_p, c_void_p, c_int64, c_void_p, c_int64, c_void_p
        )

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            self._delete(self._handle)

    def reset(self, slot: int) -> None:
        """Start the slot from silence."""
        self._check_slots([slot])
        self._reset(self._handle, slot)

    def decode(self, slots: Sequence[int], codes: NDArray[np.int32]) -> NDArray[np.float32]:
        """Audio (B, frame_size) of the next frame of codes (B, any K ≥ 1) of B different slots.

        Raises:
            ValueError: a slot or a code does not exist, or the shapes do not fit.
        """
        self._check_slots(slots)
        self._check_codes(codes, len(slots))
        numbers = np.asarray(slots, np.int64)
        codes = np.ascontiguousarray(codes, np.int32)
        pcm = np.empty((len(slots), self.config.frame_size), np.float32)
        self._decode(
            self._handle, pointer(numbers), len(slots), pointer(codes), codes.shape[1],
            pointer(pcm),
        )  # fmt: skip
        return pcm

    def _check_slots(self, slots: Sequence[int]) -> None:
        for slot in slots:
            if not 0 <= slot < self.num_slots:
                raise ValueError(f"there is no slot {slot}, only 0 … {self.num_slots - 1}")
        if len(set(slots)) < len(slots):
            raise ValueError(f"slots must differ, unlike {list(slots)}")

    def _check_codes(self, codes: NDArray[Any], num_slots: int) -> None:
        most, size = self.config.num_codebooks, self.config.codebook_size
        if codes.ndim != 2 or len(codes) != num_slots or not 1 <= codes.shape[1] <= most:
            raise ValueError(
                f"codes must be ({num_slots}, 1 … {most}), one row per slot, not {codes.shape}"
            )
        if codes.dtype.kind not in "iu":
            raise ValueError(f"codes must be whole numbers, not {codes.dtype}")
        if codes.size and not 0 <= codes.min() <= codes.max() < size:
            raise ValueError(f"codes must be 0 … {size - 1}, not {codes.min()} … {codes.max()}")


def codebooks(codec: Mimi) -> Iterator[Floats]:
    """The first arrays of every decoder: centroids, and their maps to the latent."""
    semantic, acoustic = codec.quantizer.semantic, codec.quantizer.acoustic
    yield from (floats(semantic.centroids), floats(acoustic.centroids))
    yield from (floats(semantic.output_proj.weight), floats(acoustic.output_proj.weight))


def floats(tensor: Tensor) -> Floats:
    """A tensor as a contiguous array, fp32."""
    return tensor.detach().to("cpu", torch.float32).contiguous().numpy()
