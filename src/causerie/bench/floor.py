"""The limit that memory sets: all weights of a frame are read at least once, from main memory.

Weights that fit a cache of the processor may come faster; those of csm-1b do not.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch

from causerie.config import CSMConfig, LlamaConfig
from causerie.native import library
from causerie.native.products import Packed, Pool, gemm

#: Bytes a weight. 8 and 4 bits have a scale of 16 bits for each 64 of them.
BYTES = {"float32": 4.0, "bfloat16": 2.0, "int8": 1 + 2 / 64, "int4": 0.5 + 2 / 64}
#: The same of native kernels, which keep bf16 in 12 bits where the processor can look bytes up.
NATIVE_BYTES = BYTES | {"bfloat16": 1.5 + 1 / 64}
#: Bytes a number of the cache of keys and values.
CACHE_BYTES = {"float32": 4, "bfloat16": 2, "int8": 2, "int4": 2}
#: Larger than all caches.
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
    """Bytes that a frame of all streams reads: each weight once a pass, and the keys and values.

    The depth decoder makes K - 1 passes. Its own cache is small, and stays near.
    """
    backbone, depth = config.backbone, config.depth
    num_codebooks, vocab = config.num_codebooks, config.audio_vocab_size
    read_once = (
        _num_weights(backbone) + backbone.dim * vocab + backbone.dim * depth.dim
    ) * weight_bytes[backbone_format]
    passes = (
        (num_codebooks - 1) * (_num_weights(depth) + depth.dim * vocab) * weight_bytes[depth_format]
    )
    a_row = 2 * backbone.num_layers * backbone.num_kv_heads * backbone.head_dim
    return read_once + passes + streams * rows * a_row * CACHE_BYTES[backbone_format]


def bandwidth_gb_s(
    device: torch.device, *, num_bytes: int = BUFFER_BYTES, seconds: float = 2
) -> float:
    """GB a second at which all threads read a large buffer: the best of some seconds.

    On the CPU the faster one counts of torch's sum of a buffer in large pages and, where there are
    native kernels, a product of one row with weights. On a GPU a copy is timed, which reads and
    writes.
    """
    if device.type == "cpu":
        rates = [_sum_gb_s(num_bytes, seconds)]
        if library.problem() is None:
            rates.append(_product_gb_s(num_bytes, seconds))
        return max(rates)
    buffer = torch.ones(num_bytes // 4, device=device)
    target = torch.empty_like(buffer)
    return 2 * num_bytes / _best_s(lambda: target.copy_(buffer), device, seconds) / 1e9


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


def synchronize(device: torch.device) -> None:
    """Wait for a device that computes by itself."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _num_weights(config: LlamaConfig) -> int:
    """Of the products of all layers; norms are small."""
    heads = config.num_heads + config.num_kv_heads
    attention = 2 * heads * config.head_dim * config.dim
    return config.num_layers * (attention + 3 * config.dim * config.ffn_dim)
