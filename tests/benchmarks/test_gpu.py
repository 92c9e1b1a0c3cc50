"""gpu.py: steps in processes of their own, their lines, the table; all of it on the CPU."""

from __future__ import annotations

import importlib
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from causerie.engine.memory_plan import CONTEXT_BYTES
from causerie.engine.runners.cuda_graph import Graphs
from causerie.errors import DeviceMemoryError
from tests.engine.recorder import Recorder

ROOT = Path(__file__).parents[2]
Line = dict[str, Any]


@pytest.fixture(scope="module")
def gpu() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("gpu")


@pytest.fixture(scope="module")
def steps(gpu: ModuleType) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        return importlib.import_module("gpu_steps")


@pytest.fixture
def run(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, list[Line]]]:  # fmt: skip
    """Runs steps, each of which is some Python code."""

    def go(*arguments: str, **code: str) -> tuple[int, list[Line]]:
        limits = {step: 2 if step == "hangs" else 120 for step in code}
        monkeypatch.setattr(gpu, "STEPS", limits)
        monkeypatch.setattr(
            gpu.Run, "_command", lambda self, step: [sys.executable, "-S", "-c", code[step]]
        )
        given = ["--device", "cpu", "--out", str(tmp_path / "out"), "--steps", ",".join(code)]
        status = gpu.main([*given, *arguments])
        out = capsys.readouterr().out
        assert (tmp_path / "out" / "run.jsonl").read_text("utf-8") == out
        return status, [json.loads(line) for line in out.splitlines()]

    return go


FIGURE = """
import json
print(json.dumps({"step": "good", "name": "codes of a frame", "value": 4.5, "unit": "ms"}))
"""
DONE = """
print(json.dumps({"step": "good", "name": "outcome", "value": None, "unit": "s", "status": "done"}))
"""


def ends(lines: list[Line]) -> dict[str, Line]:
    return {line["step"]: line for line in lines if line["name"] == "outcome"}


@pytest.mark.slow
def test_without_a_gpu_it_says_so(gpu: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert gpu.main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "no CUDA device: torch" in err
    assert "; --device cpu --subject tiny" in err


def test_a_step_that_crashes_or_hangs_takes_no_other_along(
    run: Callable[..., tuple[int, list[Line]]],
) -> None:
    status, lines = run(
        raises="raise ValueError('a wrong turn')",
        dies=FIGURE + "import os, sys; sys.stdout.flush(); os.kill(os.getpid(), 11)",
        hangs="import time; print('from a library', flush=True); time.sleep(600)",
        good="import time; time.sleep(0.1)" + FIGURE + DONE,
    )  # fmt: skip
    found = ends(lines)
    assert status == 1
    assert found["raises"]["status"] == "failed"
    assert found["raises"]["log"] == "ValueError: a wrong turn"
    assert found["dies"]["why"] == "ended by SIGSEGV"
    assert found["hangs"]["why"] == "not done after 2 s"
    assert found["hangs"]["log"] == 'File "<string>", line 1 in <module>'
    assert found["good"]["status"] == "done"
    assert found["good"]["value"] >= 0.1
    figures = [line["value"] for line in lines if line["name"] == "codes of a frame"]
    assert figures == [4.5, 4.5]


def test_a_line_is_there_before_its_step_ends(
    run: Callable[..., tuple[int, list[Line]]], tmp_path: Path
) -> None:
    """Whatever comes after it. The step ends once it has read its own line."""
    waits = f"""
import pathlib, sys, time
sys.stdout.flush()
kept = pathlib.Path({str(tmp_path / "out" / "run.jsonl")!r})
while "4.5" not in kept.read_text():
    time.sleep(0.02)
"""
    status, lines = run(good=FIGURE + waits + DONE)
    assert (status, ends(lines)["good"]["status"]) == (0, "done")


def test_what_no_time_is_left_for_is_named(run: Callable[..., tuple[int, list[Line]]]) -> None:
    status, lines = run("--seconds", "0", good=FIGURE + DONE)
    assert ends(lines)["good"]["status"] == "left out"
    assert "--seconds" in ends(lines)["good"]["why"]
    assert status == 0


def test_a_check_that_is_wrong_is_the_exit_code(
    run: Callable[..., tuple[int, list[Line]]], tmp_path: Path
) -> None:
    wrong = FIGURE + (
        'print(json.dumps({"step": "good", "name": "same", "value": 0.5, "unit": "", '
        '"ok": False, "limit": 0.1}))'
    )
    status, _ = run(good=wrong + DONE)
    assert status == 1
    assert "0.5 (limit 0.1): **WRONG**" in (tmp_path / "out" / "table.md").read_text("utf-8")


def test_a_run_beside_an_earlier_one(
    run: Callable[..., tuple[int, list[Line]]], tmp_path: Path
) -> None:
    earlier = tmp_path / "earlier.jsonl"
    kept = [
        {"step": "good", "name": "codes of a frame", "value": 9.0, "unit": "ms"},
        {"step": "other", "name": "gone", "value": 1, "unit": ""},
    ]
    earlier.write_text("".join(json.dumps(line) + "\n" for line in kept), "utf-8")
    run("--against", str(earlier), good=FIGURE + DONE)
    text = (tmp_path / "out" / "table.md").read_text("utf-8")
    assert "| good | codes of a frame | 4.5 ms |  | 9 ms | 0.50 |" in text
    assert "Only the earlier run has: other: gone" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "facts,fact"], "no step fact: facts, petit"),
        (["--against", "nowhere.jsonl"], "--against nowhere.jsonl: "),
        (["--against", __file__], "line 1 is no JSON"),
    ],
)
def test_invalid_arguments(
    gpu: ModuleType, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        gpu.main(arguments)
    assert message in capsys.readouterr().err


def test_the_table_names_the_floor_and_what_differs(gpu: ModuleType) -> None:
    from gpu_report import table

    frame = {"step": "graphs", "name": "codes of a frame", "value": 12.0, "unit": "ms"}
    lines = [
        {"step": "facts", "name": "card", "value": "A", "unit": ""},
        {"step": "facts", "name": "bandwidth", "value": 3000.0, "unit": "GB/s"},
        frame | {"floor_gb": 9.0},
    ]
    text = table(lines, [lines[0] | {"value": "B"}, frame | {"value": 12.1}])
    assert "| graphs | codes of a frame | 12 ms | 4.00 | 12.1 ms | same |" in text
    assert "The runs are of different GPUs: A, B" in text


def test_every_step_is_known_to_both(gpu: ModuleType, steps: ModuleType) -> None:
    assert gpu.STEPS.keys() == steps.RUN.keys()


def test_what_does_not_fit_is_left_out(
    steps: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a card of 6 GB, 3 GB of which are free."""
    monkeypatch.setattr(steps.torch.cuda, "mem_get_info", lambda device: (3 * 10**9, 6 * 10**9))
    assert steps.main(["graphs", "--device", "cuda", "--subject", "csm-1b"]) == 0
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert line["status"] == "left out"
    assert line["why"].startswith("needs about ")
    assert line["why"].endswith("GB, and 3.0 are free")


def told(steps: ModuleType, capsys: pytest.CaptureFixture[str], step: str) -> list[Line]:
    """The lines of a step on a stand-in of a GPU."""
    assert steps.main([step, "--device", "cuda", "--subject", "csm-1b"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("step", ["kernels", "equal-kernels", "int8", "kernels-8"])
def test_kernels_that_cannot_be_compiled_are_left_out(
    step: str, steps: ModuleType, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    why = "Triton found no C compiler: get one"
    monkeypatch.setattr(steps.compiler, "problem", lambda device: why)
    (line,) = told(steps, capsys, step)
    assert line | {"status": "left out", "why": why} == line


def test_a_graph_that_is_not_recorded_is_an_error(
    gpu: ModuleType, steps: ModuleType, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Otherwise calls would be timed in its place, and found equal to calls."""
    from gpu_report import table

    def compute() -> torch.Tensor:
        raise RuntimeError("CUDA error: something")

    def run(step: Any) -> None:
        Graphs(lambda compute: (compute, compute())).record("read", compute)
        logging.getLogger("causerie.engine").warning("no compiler")
        logging.getLogger("causerie.engine").info("all is well")

    monkeypatch.setitem(steps.RUN, "graphs", run)
    error, warning, end = told(steps, capsys, "graphs")
    assert error["name"] == "error"
    assert error["value"].endswith("calls compute it, slower: CUDA error: something")
    assert not error["ok"]
    assert warning == warning | {"name": "warning", "value": "no compiler"}
    assert "ok" not in warning
    assert end["status"] == "done"
    assert "slower: CUDA error: something: **WRONG**" in table([error])


def test_lines_of_several_threads_are_whole(
    steps: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Graphs are recorded in another thread, which may log."""
    written: list[str] = []
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(write=written.append, flush=lambda: None))
    monkeypatch.setitem(steps.RUN, "graphs", lambda step: step.tell("a", 1))
    steps.main(["graphs", "--device", "cpu"])
    lines = [text for text in written if text]
    assert len(lines) == 2
    assert all(text.startswith("{") and text.endswith("}\n") for text in lines)


def test_too_little_memory_leaves_the_rest_out(
    steps: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for error in (torch.OutOfMemoryError("CUDA is full\n…"), DeviceMemoryError("cuda:0 is full")):

        def run(step: Any, error: Exception = error) -> None:
            raise error

        monkeypatch.setitem(steps.RUN, "streams", run)
        (line,) = told(steps, capsys, "streams")
        assert line["status"] == "left out"
        assert line["why"] == f"out of memory: {str(error).splitlines()[0]}"


def test_memory_is_all_that_is_taken(
    steps: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The context and the graphs too, of which torch's allocator knows nothing."""
    monkeypatch.setattr(steps.torch.cuda, "mem_get_info", lambda device: (3 * 10**9, 8 * 10**9))
    monkeypatch.setitem(steps.RUN, "record", lambda step: step.memory())
    line, _ = told(steps, capsys, "record")
    assert (line["name"], line["value"], line["unit"]) == ("memory in use", 5.0, "GB")


def test_csm_1b_fits_on_a_card_of_6_gib(steps: ModuleType) -> None:
    """Each way of one stream, all graphs of eight slots, and some streams of 256 rows."""
    free = (6 * 2**30 - CONTEXT_BYTES) / 1e9
    for options in ({}, {"kernel_slots": 1}, {"kernel_slots": 1, "int8": True}):
        assert steps.needed_gb("csm-1b", steps.Way(**options), 1) < free, options
    assert steps.needed_gb("csm-1b", steps.Way(), 8) < free
    assert steps.needed_gb("csm-1b", steps.Way(), 64, steps.STREAM_ROWS) < free


def test_memory_grows_with_slots_and_their_rows(steps: ModuleType) -> None:
    way = steps.Way()
    one = steps.needed_gb("csm-1b", way, 1)
    eight = steps.needed_gb("csm-1b", way, 8)
    assert eight - one > 7 * 2049 * 32_768 / 1e9  # 32 KiB a row
    assert steps.needed_gb("csm-1b", way, 8, 256) < eight
    assert steps.needed_gb("csm-1b", steps.Way(kernel_slots=1), 1) > one
    rounded = steps.needed_gb("csm-1b", steps.Way(kernel_slots=1, int8=True), 1)
    once = rounded - steps.needed_gb("csm-1b", steps.Way(kernel_slots=1), 1)
    assert once > 0.9  # 0.5 of the runner, and of the calls that it is compared with


def test_a_wrong_frame_is_found(steps: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """One way computes something else: here, a softmax that is too flat."""
    import gpu_checks

    flat = gpu_checks.ATTENTIONS["products"]
    checkpoint = steps.load_subject("tiny", torch.float32, torch.device("cpu"))
    way = steps.Way(attention="products")
    assert all(found.ok for found in gpu_checks.equalities(checkpoint, way, 1))
    monkeypatch.setitem(
        gpu_checks.ATTENTIONS, "products", lambda q, k, v, bias: flat(q / 2, k, v, bias)
    )
    wrong = [found.name for found in gpu_checks.equalities(checkpoint, way, 1) if not found.ok]
    assert "as by calls" in wrong
    assert "as the model" in wrong


def test_recordings_are_compared_with_calls(
    steps: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, by what stands for its graphs."""
    import gpu_checks

    checkpoint = steps.load_subject("tiny", torch.float32, torch.device("cpu"))
    new = gpu_checks.BatchedRunner
    monkeypatch.setattr(
        gpu_checks, "BatchedRunner",
        lambda *a, runs=None, **k: new(*a, runs=runs or Recorder.graphs(), **k),
    )  # fmt: skip
    found = list(gpu_checks.equalities(checkpoint, steps.Way(), 2))
    assert [one.name for one in found if not one.ok] == []
    assert len(found) == 6
    survived = list(gpu_checks.survives_another(checkpoint, torch.device("cpu")))
    assert [one.value for one in survived] == [0, 0, 0]


@pytest.mark.slow
def test_all_steps_run_to_their_ends(
    gpu: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = "--device cpu --subject tiny --seconds 900".split()
    assert gpu.main([*arguments, "--out", str(tmp_path)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    left_out = {step: line["why"] for step, line in ends(lines).items() if line["status"] != "done"}
    assert left_out == {
        "no-early-starts": "kernels start early from compute capability 9.0 on only",
        "compiled": "torch.compile is timed on a GPU only",
    }
    checks = [line for line in lines if "ok" in line]
    assert len(checks) > 20
    assert all(line["ok"] for line in checks)
    streams = [line["streams"] for line in lines if line["step"] == "streams" and "streams" in line]
    assert sorted(streams) == [1, 2, 4, 8, 16, 32, 64]
    assert (tmp_path / "plot.png").is_file()
    for text in json.loads((tmp_path / "sound" / "texts.json").read_text("utf-8")):
        assert (tmp_path / "sound" / text).is_file()
