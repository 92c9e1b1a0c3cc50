"""CudaRecorder with stand-ins for CUDA: which streams, devices and pools it uses, and leaves."""

from __future__ import annotations

import gc
import itertools
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

    def wait_stream(self, other: Stream) -> None:
        """Nothing to wait for."""


@dataclass
class Cuda:
    """What happens to a stand-in of torch.cuda.

    Attributes:
        device: the current one.
        streams: the current one of each device.
        runs: device and stream of each computation, and whether it was captured.
        captures: device, stream and pool of each capture.
        fails: the end of a capture fails, and leaves its stream, as torch does.
    """

    device: torch.device = ZERO
    streams: dict[torch.device, Stream] = field(
        default_factory=lambda: {place: Stream(place, 0) for place in (ZERO, ONE)}
    )
    runs: list[tuple[Stream, bool]] = field(default_factory=list)
    captures: list[tuple[Stream, object]] = field(default_factory=list)
    is_capturing: bool = False
    fails: bool = False

    def compute(self) -> Tensor:
        self.runs.append((self.streams[self.device], self.is_capturing))
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
    def stream(given: Stream) -> Iterator[None]:
        before = state.streams[given.device]
        set_stream(given)
        yield
        set_stream(before)

    @contextmanager
    def graph(made: Any, *, pool: object, stream: Stream, capture_error_mode: str) -> Any:
        assert capture_error_mode == "thread_local"
        assert stream.device == state.device
        before = state.streams[state.device]
        set_stream(stream)
        state.captures.append((stream, pool))
        state.is_capturing = True
        try:
            yield
        finally:
            state.is_capturing = False
        if state.fails:  # torch leaves its stream then
            raise RuntimeError("CUDA error: operation failed due to a capture\nand a page of hints")
        set_stream(before)

    def set_stream(given: Stream) -> None:
        state.streams[given.device] = given

    class Graph:
        def replay(self) -> None:
            """Nothing."""

    for name, stand_in in {
        "device": on, "stream": stream, "graph": graph, "set_stream": set_stream,
        "Stream": lambda device: Stream(device, 1 + next(handles) % NUM_STREAMS),
        "current_stream": lambda: state.streams[state.device],
        "graph_pool_handle": lambda: next(pools), "CUDAGraph": Graph,
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, stand_in)
    return state


def test_warm_up_and_capture_are_on_one_stream_of_its_own(cuda: Cuda) -> None:
    record = CudaRecorder(ZERO)
    for _ in range(3):
        record(cuda.compute)
    ((stream, pool),) = {*cuda.captures}
    assert {stream for stream, _ in cuda.runs} == {stream}
    assert [captured for _, captured in cuda.runs] == 3 * [False, False, False, True]
    assert stream.cuda_stream > 0  # not the default one
    assert pool is not None
    assert cuda.streams[ZERO].cuda_stream == 0  # nothing is left behind


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


@pytest.mark.parametrize("where", ["compute", "capture"])
def test_a_recording_that_fails_is_one_line_and_calls_compute(
    cuda: Cuda, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    graphs = Graphs(CudaRecorder(ZERO))

    def broken() -> Tensor:
        raise RuntimeError("CUDA error: out of something\nand a page of hints")

    cuda.fails = where == "capture"
    graphs.record(("read", 1, 256), cuda.compute if cuda.fails else broken)
    (line,) = caplog.messages
    assert "read" in line
    assert "CUDA error" in line
    assert "hints" not in line
    assert cuda.streams[ZERO].cuda_stream == 0
    assert graphs.is_recorded(("read", 1, 256))  # and is not tried again
    count = len(cuda.runs)
    assert graphs.run(("read", 1, 256), cuda.compute).tolist() == [1]
    assert len(cuda.runs) == count + 1
    cuda.fails = False
    graphs.record(("sound", 1), cuda.compute)  # the next one is recorded
    assert cuda.captures[-1][0] == graphs._record._stream  # type: ignore[attr-defined]
