"""Mimi's own decoder in C++: the sizes and weights that mimi.cpp reads.

Its reference is `causerie.codec.mimi.Mimi.decode_step`.
"""

from __future__ import annotations

from collections.abc import Iterator
from ctypes import POINTER, Structure, c_float, c_int64

import numpy as np

from causerie.codec.conv import CausalConv1d, CausalConvTranspose1d
from causerie.codec.mimi import Mimi
from causerie.codec.seanet import Decoder, ResidualBlock
from causerie.codec.transformer import Layer
from causerie.native.decoder import SlotDecoder, codebooks, floats
from causerie.native.products import Floats
from causerie.nn.rope import inverse_frequencies


class NativeDecoder(SlotDecoder):
    """Decodes by Mimi's own decoder, a transformer and SEANet."""

    _prefix = "causerie_mimi"

    def _sizes(self, codec: Mimi) -> Structure:
        config = codec.config
        names = [field[0] for field in _Sizes._fields_]
        given = {name: getattr(config, name) for name in names if hasattr(config, name)}
        num_ratios = len(config.ratios)
        ratios = (c_int64 * num_ratios)(*config.ratios)
        return _Sizes(**{**given, "num_ratios": num_ratios, "ratios": ratios})

    def _arrays(self, codec: Mimi) -> Iterator[Floats]:
        # Computed by numpy: torch's threads would spin between the many small operations.
        config = codec.config
        yield from codebooks(codec)
        yield np.ascontiguousarray(floats(codec.upsample.weight)[:, 0].T)  # (4, D)
        yield floats(inverse_frequencies(config.dim // config.num_heads, config.rope_theta, None))
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


def _layer(layer: Layer) -> Iterator[Floats]:
    """Weights of a layer of the transformer, its scales multiplied into them."""
    attention = layer.attention
    yield from (floats(layer.attention_norm.weight), floats(layer.attention_norm.bias))
    yield floats(attention.qkv_proj.weight)
    yield floats(layer.attention_scale)[:, None] * floats(attention.out_proj.weight)
    yield from (floats(layer.ffn_norm.weight), floats(layer.ffn_norm.bias))
    yield floats(layer.ffn_in.weight)
    yield floats(layer.ffn_scale)[:, None] * floats(layer.ffn_out.weight)


def _convolution(conv: CausalConv1d) -> tuple[Floats, Floats]:
    """Weights (out, kernel · in) and bias (out,)."""
    assert conv.bias is not None
    weight = floats(conv.weight).swapaxes(1, 2)
    return weight.reshape(len(weight), -1), floats(conv.bias)


def _transposed(conv: CausalConvTranspose1d) -> tuple[Floats, Floats]:
    """Weights (stride · out, 2 · in) and bias (stride · out,) of windows of two columns.

    The earlier column of a window is the one whose second half of the kernel is still open.
    """
    assert conv.bias is not None
    weight = floats(conv.weight)
    halves = weight.reshape(*weight.shape[:2], 2, conv.stride)[:, :, ::-1]  # (in, out, 2, stride)
    rows = halves.transpose(3, 1, 2, 0).reshape(-1, 2 * len(weight))
    return rows, np.tile(floats(conv.bias), conv.stride)
