"""gpu.py: the whole of it runs on the CPU, where calls stand for graphs."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from causerie.bench.result import from_lines
from tests.engine.recorder import Recorder

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SMALL = "--device cpu --subject tiny --frames 1 --streams 1,2 --contexts 5,20 --no-compile".split()


@pytest.fixture(scope="module")
def gpu() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("gpu")


def test_without_a_gpu_it_says_so(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "no CUDA device" in err


def test_checks_and_times(
    gpu: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    picture = tmp_path / "gpu.png"
    assert gpu.main([*SMALL, "--plot", str(picture)]) == 0
    lines = capsys.readouterr().out.splitlines()
    checks = [json.loads(line) for line in lines if line.startswith('{"way"')]
    assert {check["check"] for check in checks} == {
        "recorded = called", "codes of the first frame", "together = alone", "batched = plain",
        "codec of slots = codec",
    }  # fmt: skip
    assert {check["dtype"] for check in checks} == {"float32", "bfloat16"}
    assert all(check["ok"] for check in checks)
    results, _ = from_lines(lines)
    assert {result.measure for result in results} == {
        "frame", "context", "streams", "prefill", "first-sound",
    }  # fmt: skip
    assert {result.streams for result in results} == {1, 2}
    assert picture.is_file()


def test_a_wrong_frame_is_found(gpu: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """One way computes something else: here, a softmax that is too flat."""
    flat = gpu.ATTENTIONS["products"]
    monkeypatch.setitem(gpu.ATTENTIONS, "products", lambda q, k, v, bias: flat(q / 2, k, v, bias))
    monkeypatch.setattr(gpu, "measure", lambda *_: [])
    assert gpu.main(SMALL) == 1


def test_recordings_are_compared_with_calls(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, by what stands for its graphs."""
    checkpoint = gpu.load_subject("tiny", torch.float32, torch.device("cpu"))
    new = gpu.BatchedRunner
    monkeypatch.setattr(
        gpu, "BatchedRunner",
        lambda *a, runs=None, **k: new(*a, runs=runs or Recorder.graphs(), **k),
    )  # fmt: skip
    way = gpu.Way(graphs=True, attention="fused")
    found = list(gpu.check(checkpoint, way))
    assert [one["value"] <= one["limit"] for one in found] == [True] * 5
    assert found[0]["same_codes"] == 1
