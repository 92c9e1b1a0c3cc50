"""The memory plan equals what is allocated, counted on the meta device; and its one line."""

from __future__ import annotations

import dataclasses
import gc
from pathlib import Path

import pytest
import torch

from causerie.checkpoint import load
from causerie.codec.mimi import Mimi
from causerie.config import CSMConfig, MimiConfig, csm_1b, marvis_250m
from causerie.engine.engine import PREFIX_BYTES
from causerie.engine.memory_plan import (
    CONTEXT_BYTES,
    MAX_STREAMS,
    check_memory,
    memory_plan,
    memory_table,
    most_streams,
)
from causerie.engine.runners.batched import BatchedRunner
from causerie.errors import DeviceMemoryError
from causerie.model.csm import CSM
from tests.engine.counting import Live

CARDS = (6, 8, 12, 16, 24, 48, 80)
DOCS = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def on_meta(
    config: CSMConfig, codec_config: MimiConfig, dtype: torch.dtype = torch.bfloat16
) -> tuple[CSM, Mimi]:
    with torch.device("meta"):
        return CSM(config).to(dtype).eval(), Mimi(codec_config).eval()


def petit() -> tuple[CSMConfig, MimiConfig]:
    loaded = load("petit")
    return loaded.model.config, loaded.codec.config


@pytest.mark.parametrize(
    ("name", "dtype", "num_slots", "int8", "kernels"),
    [
        ("csm-1b", torch.bfloat16, 1, False, False),
        ("csm-1b", torch.bfloat16, 8, False, False),
        ("csm-1b", torch.float32, 64, False, False),
        ("csm-1b", torch.bfloat16, 64, False, True),
        ("csm-1b", torch.bfloat16, 8, True, False),
        ("csm-1b", torch.bfloat16, 8, True, True),
        ("marvis", torch.bfloat16, 8, False, False),
        ("petit", torch.float32, 64, False, False),
    ],
)
def test_a_plan_is_what_is_allocated(
    name: str, dtype: torch.dtype, num_slots: int, int8: bool, kernels: bool
) -> None:
    """Weights and slots within 1 %; a step within its working memory, which is not much more."""
    if kernels:
        pytest.importorskip("triton", reason="Triton is for Linux")
    if name == "petit":
        sizes = petit()
    else:
        sizes = (csm_1b() if name == "csm-1b" else marvis_250m()), MimiConfig()
    model, codec = on_meta(*sizes, dtype)
    plan = memory_plan(
        model, codec, dtype, num_slots, prefix_bytes=0, depth_int8=int8, kernels=kernels
    )
    live = Live()
    live.add([*model.parameters(), *codec.parameters(), *codec.buffers()])
    with live:
        runner = BatchedRunner(
            model, codec, num_slots=num_slots, depth_int8=int8, kernel_slots=8 * kernels
        )
    gc.collect()
    assert plan.weights + plan.slots == pytest.approx(live.now, rel=0.01)
    peaks, most = [], runner._num_codes
    runner._by_kernels = None  # they run on a GPU only, and need less
    for compute in (
        lambda: runner._read_of(runner.max_rows),
        lambda: runner._hidden_of(num_slots, runner.max_rows),
        lambda: runner._frames_of(num_slots, most),
        lambda: runner._sound_of(num_slots),
    ):
        before = live.peak = live.now
        with torch.inference_mode(), live:
            compute()
        peaks.append(live.peak - before)
    assert max(peaks) <= plan.working <= 1.6 * max(peaks) + 2**21


def test_the_parts_add_up() -> None:
    """The plan of csm-1b with 8 streams, in GB."""
    model, codec = on_meta(csm_1b(), MimiConfig())
    plan = memory_plan(model, codec, torch.bfloat16, 8, prefix_bytes=PREFIX_BYTES)
    found = {name: value / 1e9 for name, value in dataclasses.asdict(plan).items()}
    expected = {"weights": 3.49, "slots": 0.60, "working": 0.02, "prefixes": 0.27}
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=0.01), name
    assert found["graphs"] == pytest.approx(0.27, abs=0.05)
    assert plan.total / 1e9 == pytest.approx(sum(found.values()))


def test_the_most_streams_fit_and_one_more_does_not() -> None:
    model, codec = on_meta(csm_1b(), MimiConfig())
    for card in CARDS:
        free = card * 2**30 - CONTEXT_BYTES
        most = most_streams(model, codec, torch.bfloat16, free, prefix_bytes=PREFIX_BYTES)
        assert most > 0
        for count, fits in ((most, True), (most + 1, False)):
            plan = memory_plan(model, codec, torch.bfloat16, count, prefix_bytes=PREFIX_BYTES)
            assert (plan.total <= free) == fits or most == MAX_STREAMS
    assert not most_streams(model, codec, torch.bfloat16, 2 * 10**9, prefix_bytes=0)


def test_too_little_memory_is_one_line() -> None:
    model, codec = on_meta(csm_1b(), MimiConfig())
    plan = memory_plan(model, codec, torch.bfloat16, 64, prefix_bytes=PREFIX_BYTES)
    what = "csm-1b in bfloat16 and 64 streams"
    with pytest.raises(DeviceMemoryError) as caught:
        check_memory(plan, 5_800_000_000, most=11, device="cuda:0", what=what)
    needed = f"{plan.total / 1e9:.1f}"
    assert str(caught.value) == (
        f"{what} need {needed} GB, cuda:0 has 5.8 free: --max-streams 11, or --device cpu"
    )
    with pytest.raises(DeviceMemoryError, match=r"has 1\.0 free: --device cpu$"):
        check_memory(plan, 10**9, most=0, device="cuda:0", what=what)
    check_memory(plan, plan.total, most=64, device="cuda:0", what=what)


def test_the_docs_have_the_table() -> None:
    """`python -m tests.engine.test_memory_plan` prints it."""
    assert table() in DOCS.read_text("utf-8")


def table() -> str:
    return memory_table(*on_meta(csm_1b(), MimiConfig()), CARDS, prefix_bytes=PREFIX_BYTES)


if __name__ == "__main__":
    print(table())
