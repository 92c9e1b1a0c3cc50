"""The limit that memory sets: each frame reads all weights from main memory at least once.

Weights that fit into the processor's cache may be faster; those of csm-1b do not fit.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch

from causerie.bench.machine import synchronize
from causerie.bench.ours import Ours
from causerie.bench.run import Implementation
from causerie.config import CSMConfig, LlamaConfig
from causerie.engine.runners.native import NativeRunner
from causerie.native import library
from causerie.native.products import Packed, Pool, gemm

#: Bytes per weight. int8 and int4 have a 16-bit scale for each 64 weights.
BYTES = {"float32": 4.0, "bfloat16": 2.0, "int8": 1 + 2 / 64, "int4": 0.5 + 2 / 64}
#: The same for native kernels, which store bf16 in 12 bits if the processor can look bytes up.
NATIVE_BYTES = BYTES | {"bfloat16": 1.5 + 1 / 64}
#: Bytes per number of the KV cache.
CACHE_BYTES = {"float32": 4, "bfloat16": 2, "int8": 2, "int4": 2}
#: Larger than all caches of a processor.
BUFFER_BYTES = 2**29


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
    read_once = (
        num_weights(backbone) + backbone.dim * vocab + backbone.dim * depth.dim
    ) * weight_bytes[backbone_format]
    passes = (
        (num_codebooks - 1) * (num_weights(depth) + depth.dim * vocab) * weight_bytes[depth_format]
    )
    row = 2 * backbone.num_layers * backbone.num_kv_heads * backbone.head_dim
    return read_once + passes + streams * rows * row * CACHE_BYTES[backbone_format]


def floor_bytes(implementation: Implementation, *, rows: int, streams: int, codec: bool) -> float:
    """Bytes that a frame of all streams reads; with the codec's weights, if `codec`, for ours."""
    if not isinstance(implementation, Ours):
        config: CSMConfig = implementation.config
        return frame_bytes(config, *implementation.formats, rows=rows, streams=streams)
    checkpoint, runner = implementation.checkpoint, implementation.runner
    compact = isinstance(runner, NativeRunner) and runner.kernels != "generic"
    total = frame_bytes(
        checkpoint.model.config, *implementation.formats, rows=rows, streams=streams,
        weight_bytes=NATIVE_BYTES if compact else BYTES,
    )  # fmt: skip
    if codec:
        weights = checkpoint.codec.named_parameters()
        decoding = (p for name, p in weights if name.startswith(("upsample", "decoder")))
        total += 4 * sum(p.numel() for p in decoding)  # fp32
    return total


def bandwidth_gb_s(
    device: torch.device, *, num_bytes: int = BUFFER_BYTES, seconds: float = 2
) -> float:
    """Best GB/s at which all threads read a large buffer, measured for some seconds.

    On the CPU this is the faster one of torch's sum of a buffer in large pages and, if native
    kernels are available, a product of one row with weights. On a GPU it is the faster one of a
    sum and a copy, which reads and writes.
    """
    if device.type == "cpu":
        rates = [_sum_gb_s(num_bytes, seconds)]
        if library.problem() is None:
            rates.append(_product_gb_s(num_bytes, seconds))
        return max(rates)
    buffer = torch.ones(num_bytes // 4, device=device)
    target = torch.empty_like(buffer)
    copied = 2 * num_bytes / _best_s(lambda: target.copy_(buffer), device, seconds / 2) / 1e9
    return max(copied, num_bytes / _best_s(buffer.sum, device, seconds / 2) / 1e9)


def _sum_gb_s(num_bytes: int, seconds: float) -> float:
    pages = mmap.mmap(-1, num_bytes)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        pages.madvise(mmap.MADV_HUGEPAGE)
    buffer = torch.frombuffer(pages, dtype=torch.float32)
    buffer.fill_(1)
    return num_bytes / _best_s(buffer.sum, torch.device("cpu"), seconds) / 1e9


def _product_gb_s(num_bytes: int, seconds: float) -> float:
    pool, width = Pool(torch.get_num_threads()), 4096
    weights = Packed(
        pool, "bfloat16", np.ones((num_bytes // 2 // width, width), np.float32), plain=True
    )
    row = np.ones((1, width), np.float32)
    best_s = _best_s(lambda: gemm(pool, weights, row), torch.device("cpu"), seconds)
    return weights.num_bytes / best_s / 1e9


def _best_s(run: Callable[[], object], device: torch.device, seconds: float) -> float:
    best, end = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < end:
        synchronize(device)
        start = time.perf_counter()
        run()
        synchronize(device)
        best = min(best, time.perf_counter() - start)
    return best


def num_weights(config: LlamaConfig) -> int:
    """Weights of the matrix products of all layers; norms are small."""
    heads = config.num_heads + config.num_kv_heads
    attention = 2 * heads * config.head_dim * config.dim
    return config.num_layers * (attention + 3 * config.dim * config.ffn_dim)
