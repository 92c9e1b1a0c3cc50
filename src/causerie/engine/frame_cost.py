"""What a frame costs: the bytes that it reads, and the operations that torch launches for it.

Both are counted from the sizes of a model. The times made of them are estimates: they decide where
a model runs if nothing else is asked for, see `causerie.engine.placement`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from causerie.config import CSMConfig, LlamaConfig
from causerie.native.csm import attention_format, head_format
from causerie.native.products import Format

#: Bytes per weight. Integers have 16 bits of scales for each 64 weights.
BYTES = {
    "float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "int8": 1 + 2 / 64, "int5": 0.625 + 2 / 64,
    "int4": 0.5 + 2 / 64,
}  # fmt: skip
#: Bytes per number of the KV cache.
CACHE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 2, "int5": 2, "int4": 2}
#: Operations that torch's model launches for one row in fp32, counted: for a layer; for a pass of
#: the depth decoder with its sampling, besides its layers; for the noise and the codec.
LAYER_LAUNCHES, PASS_LAUNCHES, OTHER_LAUNCHES = 34, 14, 300
#: Estimates. GB/s of a desktop with two channels of DDR4, and of the least Apple chip; and the
#: microseconds that a launch takes there, which were not measured.
CPU_GB_S, APPLE_GB_S = 25, 65
CALL_US, MPS_CALL_US = 5, 15


def frame_bytes(
    config: CSMConfig,
    backbone_format: str,
    depth_format: str,
    *,
    rows: int = 0,
    streams: int = 1,
    weight_bytes: Mapping[str, float] = BYTES,
) -> float:
    """Bytes that a frame of all streams reads: the weights once per pass, and the KV cache.

    The depth decoder makes K - 1 passes. Its own KV cache is small and not counted.
    """
    backbone, depth = config.backbone, config.depth
    num_codebooks, vocab = config.num_codebooks, config.audio_vocab_size
    backbone_head = weight_bytes[head_format(cast(Format, backbone_format))]
    depth_head = weight_bytes[head_format(cast(Format, depth_format))]
    read_once = (
        _layer_bytes(backbone, backbone_format, weight_bytes)
        + backbone.dim * vocab * backbone_head
        + backbone.dim * depth.dim * depth_head
    )
    passes = (num_codebooks - 1) * (
        _layer_bytes(depth, depth_format, weight_bytes) + depth.dim * vocab * depth_head
    )
    row = 2 * backbone.num_layers * backbone.num_kv_heads * backbone.head_dim
    return read_once + passes + streams * rows * row * CACHE_BYTES[backbone_format]


def frame_launches(config: CSMConfig) -> int:
    """Operations that the plain model and its codec launch for a frame of one stream."""
    passes = config.num_codebooks - 1
    depth = passes * (LAYER_LAUNCHES * config.depth.num_layers + PASS_LAUNCHES)
    return LAYER_LAUNCHES * config.backbone.num_layers + depth + OTHER_LAUNCHES


def native_ms(config: CSMConfig, backbone_format: str, depth_format: str) -> float:
    """Estimated milliseconds of a frame by the native kernels, on an ordinary CPU."""
    return frame_bytes(config, backbone_format, depth_format) / CPU_GB_S / 1e6


def calls_ms(config: CSMConfig, number: str, device: str) -> float:
    """Estimated milliseconds of a frame by torch's own kernels on "cpu" or "mps"."""
    rate, call_us = (APPLE_GB_S, MPS_CALL_US) if device == "mps" else (CPU_GB_S, CALL_US)
    return frame_bytes(config, number, number) / rate / 1e6 + frame_launches(config) * call_us / 1e3


def _layer_bytes(config: LlamaConfig, form: str, weight_bytes: Mapping[str, float]) -> float:
    """Bytes of the matrices of all layers; norms are small."""
    heads = config.num_heads + config.num_kv_heads
    attention = 2 * heads * config.head_dim * config.dim
    ffn = 3 * config.dim * config.ffn_dim
    attention_bytes = weight_bytes[attention_format(cast(Format, form))]
    return config.num_layers * (attention * attention_bytes + ffn * weight_bytes[form])
