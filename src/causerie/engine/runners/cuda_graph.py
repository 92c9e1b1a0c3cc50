"""Computations recorded once and replayed: no Python, no launches one by one, no waiting.

A graph repeats the kernels of one call, on the tensors of that call. So a computation that is
recorded may not look at values, must read its inputs from tensors that stay where they are, and
leaves its result in one tensor, which the next replay overwrites.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

import torch
from torch import Tensor

#: Runs before a recording, in which libraries choose kernels and take their memory.
WARM_UPS = 3


def has_graphs(device: torch.device) -> bool:
    """Whether computations on a device are recorded: on NVIDIA's. AMD's are called "cuda" too."""
    return device.type == "cuda" and torch.version.hip is None


class Runs(Protocol):
    """How computations are run that come again and again."""

    def run(self, key: Hashable, compute: Callable[[], Tensor]) -> Tensor:
        """The result of `compute`, which is the same computation for the same key."""

    def record(self, key: Hashable, compute: Callable[[], Tensor]) -> None:
        """Prepare `run`. The computation runs meanwhile, some times: on inputs of no meaning."""

    def is_recorded(self, key: Hashable) -> bool:
        """Whether `record` was called for the key, or need not be."""


class Eager:
    """Just calls."""

    def run(self, key: Hashable, compute: Callable[[], Tensor]) -> Tensor:
        """Call."""
        return compute()

    def record(self, key: Hashable, compute: Callable[[], Tensor]) -> None:
        """Nothing is to be done."""

    def is_recorded(self, key: Hashable) -> bool:
        """No call needs it."""
        return True


#: Runs a computation once, and gives what repeats it, with its result.
Record = Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]


class Graphs:
    """One recording a key.

    Args:
        record: makes one; `CudaRecorder` does it.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._made: dict[Hashable, tuple[Callable[[], None], Tensor]] = {}

    def run(self, key: Hashable, compute: Callable[[], Tensor]) -> Tensor:
        """Replay; the result is overwritten by the next replay of any graph."""
        replay, result = self._made[key]
        replay()
        return result

    def record(self, key: Hashable, compute: Callable[[], Tensor]) -> None:
        """Record, once and for all."""
        self._made[key] = self._record(compute)

    def is_recorded(self, key: Hashable) -> bool:
        """Whether there is a graph for the key."""
        return key in self._made


class CudaRecorder:
    """Records CUDA graphs that share one pool of memory.

    They may share it because they are replayed one after another on one stream, and what one
    leaves there is read before the next begins, or kept outside the pool.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, compute: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        """Record one."""
        with torch.cuda.device(self._device):
            beside = torch.cuda.Stream()
            beside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(beside):
                for _ in range(WARM_UPS):
                    compute()
            torch.cuda.current_stream().wait_stream(beside)
            graph = torch.cuda.CUDAGraph()
            # what other threads ask of CUDA meanwhile is no part of it, and no error
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                result = compute()
        return graph.replay, result
