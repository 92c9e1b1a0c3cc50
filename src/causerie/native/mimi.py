"""The codec's decoder in C++: a frame of codes in, a frame of audio out, for numbered slots.

Its reference is `causerie.codec.mimi.Mimi.decode_step`; the maths is in mimi.cpp. The audio of a
slot depends, to the bit, on its own codes only: not on other slots or the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ctypes import POINTER, Structure, byref, c_float, c_int, c_int64, c_void_p
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causerie.codec.conv import CausalConv1d, CausalConvTranspose1d
from causerie.codec.mimi import Mimi
from causerie.codec.seanet import Decoder, ResidualBlock
from causerie.codec.transformer import Layer
from causerie.config import MimiConfig
from causerie.native.products import FORMATS, Floats, Pool, declare, pointer
from causerie.nn.rope import inverse_frequencies

#: Storage of the weights of the transformer and the convolutions.
Weights = Literal["float32", "bfloat16"]


class NativeDecoder:
    """Decodes `num_slots` streams of codes, each of which starts from silence."""

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
        arrays = list(_arrays(codec))
        assert all(array.flags.c_contiguous for array in arrays)
        self._centroids = arrays[:2]  # the only ones that are not copied
        handle = self._new(
            self.pool.handle,
            byref(_sizes(codec.config)),
            (c_void_p * len(arrays))(*(array.ctypes.data for array in arrays)),
            (c_int64 * len(arrays))(*(array.size for array in arrays)),
            len(arrays),
            num_slots,
            FORMATS[weights],
        )
        assert handle, "mimi.cpp expects other arrays"
        self._handle = c_void_p(handle)

    def _declare(self) -> None:
        library = self.pool.library
        self._new = declare(
            library, "causerie_mimi_new", c_void_p, c_void_p, c_void_p, c_void_p, c_void_p,
            c_int64, c_int64, c_int,
        )  # fmt: skip
        self._delete = declare(library, "causerie_mimi_delete", None, c_void_p)
        self._reset = declare(library, "causerie_mimi_reset", None, c_void_p, c_int64)
        self._decode = declare(
            library, "causerie_mimi_decode", None, c_void_p, c_void_p, c_int64, c_void_p, c_int64,
            c_void_p,
        )  # fmt: skip

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


# -- arguments of mimi.cpp ------------------------------------------------------------------


class _Sizes(Structure):
    """``Sizes`` of mimi.cpp."""

    _fields_ = [
        *((name, c_int64) for name in (
            "num_filters", "dim", "kernel", "residual_kernel", "last_kernel", "compress",
            "num_layers", "num_heads", "ffn_dim", "context",
            "num_codebooks", "codebook_size", "codebook_dim", "num_ratios",
        )),
        ("ratios", POINTER(c_int64)),
        ("norm_eps", c_float),
    ]  # fmt: skip


def _sizes(config: MimiConfig) -> _Sizes:
    names = [field[0] for field in _Sizes._fields_]
    given = {name: getattr(config, name) for name in names if hasattr(config, name)}
    num_ratios = len(config.ratios)
    ratios = (c_int64 * num_ratios)(*config.ratios)
    return _Sizes(**{**given, "num_ratios": num_ratios, "ratios": ratios})


def _arrays(codec: Mimi) -> Iterator[Floats]:
    """The weights in the order in which the C++ side reads them, fp32 and contiguous.

    Computed by numpy: torch's threads would spin between the many small operations.
    """
    config = codec.config
    semantic, acoustic = codec.quantizer.semantic, codec.quantizer.acoustic
    yield from (_floats(semantic.centroids), _floats(acoustic.centroids))
    yield from (_floats(semantic.output_proj.weight), _floats(acoustic.output_proj.weight))
    yield np.ascontiguousarray(_floats(codec.upsample.weight)[:, 0].T)  # (4, D)
    yield _floats(inverse_frequencies(config.dim // config.num_heads, config.rope_theta, None))
    layers: list[Layer] = list(codec.decoder_transformer.layers)  # type: ignore[arg-type]
    for layer in layers:
        yield from _layer(layer)
    assert isinstance(codec.decoder, Decoder)
    for part in codec.decoder.layers:
        if isinstance(part, ResidualBlock):
            yield from _convolution(part.narrow)
            yield from _convolution(part.widen)
        elif isinstance(part, CausalConvTranspose1d):
            yield from _transposed(part)
        else:
            assert isinstance(part, CausalConv1d)
            yield from _convolution(part)


def _layer(layer: Layer) -> Iterator[Floats]:
    """Weights of a layer of the transformer, its scales multiplied into them."""
    attention = layer.attention
    yield from (_floats(layer.attention_norm.weight), _floats(layer.attention_norm.bias))
    yield _floats(attention.qkv_proj.weight)
    yield _floats(layer.attention_scale)[:, None] * _floats(attention.out_proj.weight)
    yield from (_floats(layer.ffn_norm.weight), _floats(layer.ffn_norm.bias))
    yield _floats(layer.ffn_in.weight)
    yield _floats(layer.ffn_scale)[:, None] * _floats(layer.ffn_out.weight)


def _convolution(conv: CausalConv1d) -> tuple[Floats, Floats]:
    """Weights (out, kernel · in) and bias (out,)."""
    assert conv.bias is not None
    weight = _floats(conv.weight).swapaxes(1, 2)
    return weight.reshape(len(weight), -1), _floats(conv.bias)


def _transposed(conv: CausalConvTranspose1d) -> tuple[Floats, Floats]:
    """Weights (stride · out, 2 · in) and bias (stride · out,) of windows of two columns.

    The earlier column of a window is the one whose second half of the kernel is still open.
    """
    assert conv.bias is not None
    weight = _floats(conv.weight)
    halves = weight.reshape(*weight.shape[:2], 2, conv.stride)[:, :, ::-1]  # (in, out, 2, stride)
    rows = halves.transpose(3, 1, 2, 0).reshape(-1, 2 * len(weight))
    return rows, np.tile(_floats(conv.bias), conv.stride)


def _floats(tensor: Tensor) -> Floats:
    return tensor.detach().to("cpu", torch.float32).contiguous().numpy()
