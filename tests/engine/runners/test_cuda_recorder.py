"""CudaRecorder with stand-ins for CUDA: which streams, devices and pools it uses, and leaves."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from causerie.engine.runners.cuda_graph import NUM_STREAMS, CudaRecorder, Graphs
from causerie.errors import EngineError

ZERO, ONE = torch.device("cuda", 0), torch.device("cuda", 1)


@dataclass(frozen=True)
class Stream:
    """A stand-in: torch hands out the same few handles in turn."""

    device: torch.device
    cuda_stream: int

    @property
    def device_index(self) -> int | None:
        return self.device.index


@dataclass
class Cuda:
    """What happens to a stand-in of torch.cuda.

    Attributes:
        device: the current one.
        streams: the current one of each device.
        runs: device and stream of each computation, and whether it was captured.
        captures: device, stream and pool of each capture.
        workspaces: of each thread and stream, whether a capture allocated it: cuBLAS keeps one.
        pools: devices and pools that captures fill, by torch's allocator.
        fails: the end of a capture fails, and leaves its stream, as torch does.
    """

    device: torch.device = ZERO
    streams: dict[torch.device, Stream] = field(
        default_factory=lambda: {place: Stream(place, 0) for place in (ZERO, ONE)}
    )
    runs: list[tuple[Stream, bool]] = field(default_factory=list)
    captures: list[tuple[Stream, object]] = field(default_factory=list)
    workspaces: dict[tuple[int, Stream], bool] = field(default_factory=dict)
    pools: list[tuple[int | None, object]] = field(default_factory=list)
    is_capturing: bool = False
    fails: bool = False

    def compute(self) -> Tensor:
        stream = self.streams[self.device]
        self.runs.append((stream, self.is_capturing))
        in_pool = self.workspaces.setdefault((threading.get_ident(), stream), self.is_capturing)
        assert in_pool == self.is_capturing, "a graph with memory that is not in its pool"
        return torch.ones(1)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    """Replaces what `CudaRecorder` uses of torch.cuda."""
    state, handles, pools = Cuda(), itertools.count(), itertools.count()

    @contextmanager
    def on(device: torch.device) -> Iterator[None]:
        before, state.device = state.device, device
        yield
        state.device = before

    @contextmanager
    def graph(made: Any, *, pool: object, stream: Stream, capture_error_mode: str) -> Any:
        assert capture_error_mode == "thread_local"
        assert stream.device == state.device
        before = state.streams[state.device]
        set_stream(stream)
        state.captures.append((stream, pool))
        assert (stream.device.index, pool) not in state.pools, "already recording to mempool_id"
        state.pools.append((stream.device.index, pool))
        state.is_capturing, is_broken = True, True
        try:
            yield
            is_broken = state.fails
        finally:
            state.is_capturing = False
            if is_broken:  # torch leaves its stream then
                raise RuntimeError("CUDA error: a previous error during capture\nand hints")
        end_pool(stream.device.index, pool)
        set_stream(before)

    def end_pool(device: int | None, pool: object) -> None:
        if (device, pool) not in state.pools:
            raise RuntimeError("endAllocatePool: not currently recording to mempool_id")
        state.pools.remove((device, pool))

    def set_stream(given: Stream) -> None:
        state.streams[given.device] = given

    class Graph:
        def replay(self) -> None:
            """Nothing."""

    for name, stand_in in {
        "device": on, "graph": graph, "set_stream": set_stream,
        "Stream": lambda device: Stream(device, 1 + next(handles) % NUM_STREAMS),
        "current_stream": lambda: state.streams[state.device],
        "graph_pool_handle": lambda: next(pools), "CUDAGraph": Graph,
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", end_pool, raising=False)
    return state


def test_only_captures_run_on_a_stream_of_its_own(cuda: Cuda) -> None:
    record = CudaRecorder(ZERO)
    for _ in range(3):
        record(cuda.compute)
    ((stream, pool),) = {*cuda.captures}
    assert cuda.runs == 3 * [*3 * [(Stream(ZERO, 0), False)], (stream, True)]
    assert stream.cuda_stream > 0  # not the default one
    assert pool is not None
    assert cuda.streams[ZERO].cuda_stream == 0  # nothing is left behind


def test_workspaces_are_in_the_pool_of_the_graphs(cuda: Cuda) -> None:
    """For each thread that records: one that ends frees its own."""
    record = CudaRecorder(ZERO)
    record(cuda.compute)
    thread = threading.Thread(target=lambda: [record(cuda.compute) for _ in range(2)])
    thread.start()
    thread.join()
    in_pool = [where for (_, stream), where in cuda.workspaces.items() if stream.cuda_stream]
    assert in_pool == [True, True]
    assert len(cuda.captures) == 3


def test_recorders_on_two_devices_share_nothing(cuda: Cuda) -> None:
    """Whatever device is current when they are made and used."""
    first, second = CudaRecorder(ONE), CudaRecorder(ZERO)
    cuda.device = ONE
    third = CudaRecorder(ZERO)
    for record, place in ((first, ONE), (second, ZERO), (third, ZERO)):
        record(cuda.compute)
        assert cuda.captures[-1][0].device == place
        assert cuda.device == ONE
    assert len({(s.device, s.cuda_stream) for s, _ in cuda.captures}) == 3
    assert len({pool for _, pool in cuda.captures}) == 3


def test_no_living_recorder_shares_its_stream(cuda: Cuda) -> None:
    """torch hands out a stream again: freeing one model's graphs would break another's."""
    kept = CudaRecorder(ZERO)
    for _ in range(2 * NUM_STREAMS):  # models that are loaded and unloaded
        other = CudaRecorder(ZERO)
        assert other._stream.cuda_stream != kept._stream.cuda_stream
        del other
    gc.collect()
    others = [CudaRecorder(ZERO) for _ in range(NUM_STREAMS - 1)]
    with pytest.raises(EngineError, match=f"{NUM_STREAMS} models"):
        CudaRecorder(ZERO)
    assert CudaRecorder(ONE)
    del others
    gc.collect()
    assert CudaRecorder(ZERO)


@pytest.mark.parametrize("where", ["warm-up", "capture", "end"])
def test_a_recording_that_fails_is_one_line_and_calls_compute(
    cuda: Cuda, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The line has the first error: the end of a capture that is broken fails, too."""
    graphs = Graphs(CudaRecorder(ZERO))

    def broken() -> Tensor:
        if where == "warm-up" or cuda.is_capturing:
            raise RuntimeError("CUDA error: out of something\nand a page of hints")
        return cuda.compute()

    cuda.fails = where == "end"
    graphs.record(("read", 1, 256), cuda.compute if cuda.fails else broken)
    (line,) = caplog.messages
    assert "read" in line
    assert line.endswith("a previous error during capture" if cuda.fails else "out of something")
    assert cuda.streams[ZERO].cuda_stream == 0
    assert graphs.is_recorded(("read", 1, 256))  # and is not tried again
    count = len(cuda.runs)
    assert graphs.run(("read", 1, 256), cuda.compute).tolist() == [1]
    assert len(cuda.runs) == count + 1
    cuda.fails = False
    graphs.record(("sound", 1), cuda.compute)  # the next one is recorded
    assert cuda.captures[-1][0] == graphs._record._stream  # type: ignore[attr-defined]
    assert graphs._made["sound", 1] is not None
    assert len({pool for _, pool in cuda.captures}) == len(cuda.captures)  # the old one is left
    assert not cuda.pools
