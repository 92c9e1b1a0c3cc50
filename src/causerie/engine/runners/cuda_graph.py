"""Records computations once and replays them, without Python and separate kernel launches.

A graph repeats the kernels of one call on the tensors of that call. So a recorded computation must
not depend on values on the host, must read its inputs from tensors that stay in place, and leaves
its result in one tensor, which the next replay overwrites.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Hashable
from typing import Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from causerie.errors import EngineError

log = logging.getLogger("causerie.engine")

#: Runs before a recording, in which libraries choose kernels and allocate memory.
WARM_UPS = 3
#: Streams that torch has for a device.
NUM_STREAMS = 32


def has_graphs(device: torch.device) -> bool:
    """Whether a device records graphs: NVIDIA GPUs do, AMD's, which are "cuda" too, do not."""
    return device.type == "cuda" and torch.version.hip is None


class Runs(Protocol):
    """Runs repeated computations.

    Attributes:
        records: whether a computation must be recorded before it is run, which takes a while.
    """

    records: bool

    def run(self, key: Hashable, compute: Callable[[], Tensor]) -> Tensor:
        """The result of `compute`; the same key must mean the same computation."""

    def record(self, key: Hashable, compute: Callable[[], Tensor]) -> None:
        """Prepare `run`. This runs the computation several times, on arbitrary inputs."""

    def is_recorded(self, key: Hashable) -> bool:
        """Whether `run` may be called for the key."""


class Eager:
    """Runs computations by calling them."""

    records = False

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
    """One recorded graph per key. A key whose recording fails is computed by calls.

    Args:
        record: records a graph, such as a `CudaRecorder`.
    """

    records = True

    def __init__(self, record: Record) -> None:
        self._record = record
        self._made: dict[Hashable, tuple[Callable[[], None], Tensor] | None] = {}

    def run(self, key: Hashable, compute: Callable[[], Tensor]) -> Tensor:
        """The result of a replay; the next replay of any graph overwrites it."""
        made = self._made[key]
        if made is None:
            return compute()
        replay, result = made
        replay()
        return result

    def record(self, key: Hashable, compute: Callable[[], Tensor]) -> None:
        """Record the graph of a key, or log why it cannot be recorded."""
        try:
            self._made[key] = self._record(compute)
        except RuntimeError as error:  # of CUDA and of torch
            self._made[key] = None
            log.error(
                "no CUDA graph of %s, so calls compute it, slower: %s", key, first_line(error)
            )

    def is_recorded(self, key: Hashable) -> bool:
        """Whether there is a graph for the key."""
        return key in self._made


def first_line(error: BaseException) -> str:
    """What an error says first; those of CUDA go on for a page.

    After an error within a capture, its end fails too: the first of them counts.
    """
    while error.__context__ is not None:
        error = error.__context__
    return str(error).partition("\n")[0] or type(error).__name__


class CudaRecorder:
    """Records CUDA graphs on one stream of its own, and in one pool of memory.

    They can share the pool because they are replayed one after another on one stream, and a result
    is read before the next replay begins, or kept outside the pool.

    cuBLAS has a workspace for each thread and stream. It is part of the graphs that are captured
    there, but torch frees it with any of them, and newer versions with the thread. So no two
    recorders share a stream: torch's default stream for captures is one for the whole process. And
    nothing but captures runs on it. Then a capture allocates the workspace, in the pool, which
    keeps the memory for its graphs even if the workspace is freed.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        with _capturing, torch.cuda.device(device):
            self._stream = _own_stream(device)
            self._pool = torch.cuda.graph_pool_handle()
            _streams[self] = (self._stream.device, self._stream.cuda_stream)

    def __call__(self, compute: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        """Record a graph. A process captures one at a time."""
        with _capturing, torch.cuda.device(self._device):
            caller = torch.cuda.current_stream()
            for _ in range(WARM_UPS):
                compute()
            graph = torch.cuda.CUDAGraph()
            try:
                # It waits for the device first. Calls of CUDA from other threads are neither
                # recorded nor an error.
                with torch.cuda.graph(
                    graph,
                    pool=self._pool,
                    stream=self._stream,
                    capture_error_mode="thread_local",
                ):
                    result = compute()
            except BaseException:
                self._leave_pool()
                raise
            finally:
                torch.cuda.set_stream(caller)  # a capture that fails leaves its own
        return graph.replay, result

    def _leave_pool(self) -> None:
        """Take another pool: for torch, a capture that could not end still fills this one."""
        with contextlib.suppress(RuntimeError):  # it could end
            torch._C._cuda_endAllocateToPool(self._stream.device_index, self._pool)
        self._pool = torch.cuda.graph_pool_handle()


#: Held by a capture, and while a stream is chosen.
_capturing = threading.Lock()
#: Device and handle of the stream of each living recorder.
_streams: WeakKeyDictionary[CudaRecorder, tuple[torch.device, int]] = WeakKeyDictionary()


def _own_stream(device: torch.device) -> torch.cuda.Stream:
    """A stream that no living recorder has: torch hands out the same 32 streams in turn.

    Raises:
        EngineError: all of them are taken.
    """
    taken = {*_streams.values()}
    for _ in range(NUM_STREAMS):
        stream = torch.cuda.Stream(device)
        if (stream.device, stream.cuda_stream) not in taken:
            return stream
    raise EngineError(f"{device} has no stream left: {NUM_STREAMS} models have recorded graphs")
