"""The limit that memory sets: each frame reads all weights from main memory at least once.

Weights that fit into the processor's cache may be faster; those of csm-1b do not fit.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable

import numpy as np
import torch

from causerie.bench.machine import synchronize
from causerie.bench.ours import Ours
from causerie.bench.run import Implementation
from causerie.config import CSMConfig
from causerie.engine.frame_cost import BYTES, frame_bytes
from causerie.engine.runners.native import NativeRunner
from causerie.native import library
from causerie.native.products import Packed, Pool, gemm

#: The same for native kernels, which store bf16 in 12 bits if the processor can look bytes up.
NATIVE_BYTES = BYTES | {"bfloat16": 1.5 + 1 / 64}
#: Larger than all caches of a processor.
BUFFER_BYTES = 2**29


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
    kernels are available, a product of one row with weights. On a GPU it is the sum, too: weights
    are read, and what a copy writes takes time of its own.
    """
    if device.type == "cpu":
        rates = [_sum_gb_s(num_bytes, seconds)]
        if library.problem() is None:
            rates.append(_product_gb_s(num_bytes, seconds))
        return max(rates)
    buffer, count = torch.ones(num_bytes // 4, device=device), 8  # the host waits once for them

    def read() -> None:
        for _ in range(count):
            buffer.sum()

    return count * num_bytes / _best_s(read, device, seconds) / 1e9


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
