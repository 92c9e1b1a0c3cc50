"""kernels.py finds the fastest launches; here a formula stands for the times of a GPU."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch

pytest.importorskip("triton", reason="Triton is for Linux")

from causerie.engine.runners.slot_kernels import LAUNCHES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    for name, launch in LAUNCHES.items():  # as they are, afterwards
        monkeypatch.setitem(LAUNCHES, name, launch)
    module = importlib.import_module("kernels")
    monkeypatch.setattr(module.slot_kernels, "MAY_START_EARLY", True)
    return module


def test_without_a_gpu_it_says_so(
    kernels: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert kernels.main([]) == 2
    assert "no CUDA device" in capsys.readouterr().err


def test_the_fastest_launches_are_found(
    kernels: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each kernel's own, while those found before are kept."""
    wanted = {
        name: kernels.Launch(tile=launch.tile and 4096, num_warps=8 if index % 2 else 2)
        for index, (name, launch) in enumerate(LAUNCHES.items())
    }

    def milliseconds(frame: object) -> float:
        return 1.0 + sum(LAUNCHES[name] != launch for name, launch in wanted.items())

    monkeypatch.setattr(kernels.Frame, "milliseconds", milliseconds)
    assert kernels.main(["--device", "cpu", "--subject", "tiny"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-2] == {
        "best": {name: [launch.tile, launch.num_warps] for name, launch in wanted.items()},
        "ms": 1.0,
    }
    assert lines[-1]["tried"] == "no early starts"


def test_a_frame_is_timed(kernels: ModuleType) -> None:
    frame = kernels.Frame("tiny", torch.device("cpu"), 1)
    assert frame.milliseconds() > 0
    codes = frame.compute()
    assert codes.shape == (1, 6)
    assert codes[0, -2] == 1  # all logits are finite
