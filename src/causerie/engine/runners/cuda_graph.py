"""Records computations once and replays them, without Python and separate kernel launches.

A graph repeats the kernels of one call on the tensors of that call. So a recorded computation must
not depend on values on the host, must read its inputs from tensors that stay in place, and leaves
its result in one tensor, which the next replay overwrites.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

import torch
from torch import Tensor

#: Runs before a recording, in which libraries choose kernels and allocate memory.
WARM_UPS = 3


def has_graphs(device: torch.device) -> bool:
    """Whether a device records graphs: NVIDIA GPUs do, AMD's, which are "cuda" too, do not."""
    return device.type == "cuda" and torch.version.hip is None


class Runs(Protocol):
    """Runs repeated computations."""

    def run(self, key: Hashable, compute: Callable[[], Tensor]) -> Tensor:
        """The result of `compute`; the same key must mean the same computation."""

    def record(self, key: Hashable, compute: Callable[[], Tensor]) -> None:
        """Prepare `run`. This runs the computation several times, on arbitrary inputs."""

    def is_recorded(self, key: Hashable) -> bool:
        """Whether `run` may be called for the key."""


class Eager:
    """Runs computations by calling them."""

    def run(self, key: Hashable, compute: Callable[[], Tensor]) -> Tensor:
        """The result of `compute`."""
        return compute()

    def record(self, key: Hashable, compute: Callable[[], Tensor]) -> None:
        """Do nothing."""

    def is_recorded(self, key: Hashable) -> bool:
        """True: no call needs a recording."""
        return True


#: Records a computation; returns the function that replays it and the tensor of its result.
Record = Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]


class Graphs:
    """One recorded graph per key.

    Args:
        record: records a graph, such as a `CudaRecorder`.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._made: dict[Hashable, tuple[Callable[[], None], Tensor]] = {}

    def run(self, key: Hashable, compute: Callable[[], Tensor]) -> Tensor:
        """The result of a replay; the next replay of any graph overwrites it."""
        replay, result = self._made[key]
        replay()
        return result

    def record(self, key: Hashable, compute: Callable[[], Tensor]) -> None:
        """Record the graph of a key."""
        self._made[key] = self._record(compute)

    def is_recorded(self, key: Hashable) -> bool:
        """Whether there is a graph for the key."""
        return key in self._made


class CudaRecorder:
    """Records CUDA graphs that share one pool of memory.

    They can share it because they are replayed one after another on one stream, and a result is
    read before the next replay begins, or kept outside the pool.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, compute: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        """Record a graph."""
        with torch.cuda.device(self._device):
            beside = torch.cuda.Stream()
            beside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(beside):
                for _ in range(WARM_UPS):
                    compute()
            torch.cuda.current_stream().wait_stream(beside)
            graph = torch.cuda.CUDAGraph()
            # calls of CUDA from other threads are neither recorded nor an error
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                result = compute()
        return graph.replay, result
