"""Recordings: one per key, on arbitrary inputs, replayed without Python."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from causerie.engine.runners.cuda_graph import Eager, Graphs, has_graphs
from tests.engine.recorder import Recorder


@pytest.mark.parametrize("runs", [Eager(), Recorder.graphs()], ids=["eager", "recorded"])
def test_the_inputs_of_the_moment_count(runs: Eager | Graphs) -> None:
    given, total = torch.zeros(3), torch.zeros(3)

    def compute() -> Tensor:
        total.add_(given)
        return given * 2

    if not runs.is_recorded("key"):
        runs.record("key", compute)
    total.zero_()  # recording has run it
    for number in (1.0, 5.0):
        given.fill_(number)
        assert runs.run("key", compute).tolist() == [2 * number] * 3
    assert total.tolist() == [6.0] * 3


def test_python_runs_when_recorded_only() -> None:
    graphs, calls = Recorder.graphs(), list[int]()

    def compute() -> Tensor:
        calls.append(1)
        return torch.ones(2) + 1

    graphs.record("key", compute)
    count = len(calls)
    assert graphs.run("key", compute).tolist() == [2, 2]
    assert len(calls) == count
    assert graphs.is_recorded("key")
    assert not graphs.is_recorded("other")


@pytest.mark.parametrize(
    "compute",
    [
        lambda given: given * float(given[0].item()),
        lambda given: given[given > 0],
        lambda given: torch.where(given > 0, 1.0, given),
    ],
    ids=["value", "shape", "number"],
)
def test_operations_that_make_the_host_wait_are_refused(
    compute: Callable[[Tensor], Tensor],
) -> None:
    given = torch.ones(2)
    with pytest.raises(AssertionError, match="wait"):
        Recorder.graphs().record("key", lambda: compute(given))


def test_only_devices_of_nvidia_record(monkeypatch: pytest.MonkeyPatch) -> None:
    assert has_graphs(torch.device("cuda"))
    assert not has_graphs(torch.device("mps"))
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert not has_graphs(torch.device("cuda"))
