"""training_memory.py: what it counts is what a real training allocates."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch._C._profiler import _EventType
from torch._subclasses import FakeTensorMode

from causerie.config import CSMConfig, LlamaConfig
from causerie.model.csm import CSM
from tests import tiny

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LLAMA = LlamaConfig(num_layers=2, dim=128, num_heads=8, num_kv_heads=2, head_dim=16, ffn_dim=512)
SIZES = CSMConfig(
    backbone=LLAMA, depth=LLAMA, num_codebooks=8, audio_vocab_size=64, text_vocab_size=600
)


@pytest.fixture(scope="module")
def memory() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        return importlib.import_module("training_memory")


def allocated(run: Callable[[], Any]) -> int:
    """The most bytes that were allocated at once meanwhile, as torch's profiler has it."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        run()
    changes: list[tuple[int, int]] = []

    def visit(events: list[Any]) -> None:
        for event in events:
            if event.tag == _EventType.Allocation:
                changes.append((event.start_time_ns, event.extra_fields.alloc_size))
            visit(event.children)

    assert profile.profiler is not None
    visit(profile.profiler.kineto_results.experimental_event_tree())
    total = peak = 0
    for _, change in sorted(changes, key=lambda pair: pair[0]):
        total += change
        peak = max(peak, total)
    return peak


def test_storages_count_once_and_as_long_as_they_live(memory: ModuleType) -> None:
    with FakeTensorMode(), memory.Counter() as counter:
        first = torch.zeros(1024)
        half = first[:512].view(2, 256)
        assert counter.peak == 4096
        del first
        second = torch.zeros(1024)  # the half keeps the whole first
        assert counter.peak == 8192
        del half, second
        third = torch.zeros(512)
        assert counter.peak == 8192
        assert len(third) == 512


@pytest.mark.parametrize("lora", [True, False])
@pytest.mark.parametrize("recompute", [True, False])
@pytest.mark.parametrize("ema", [True, False])
def test_counted_is_allocated(
    memory: ModuleType, tmp_path: Path, lora: bool, recompute: bool, ema: bool
) -> None:
    case = memory.Case(lora=lora, rows=200, recompute=recompute, ema=ema)
    real = allocated(lambda: memory.new_training(case, SIZES, tmp_path, "cpu").run())
    assert memory.count(case, SIZES, on_cpu=True) == pytest.approx(real, rel=0.03)


def test_all_weights_need_gradients_and_two_moments_beside_them(memory: ModuleType) -> None:
    """Tables of embeddings so large that all else is small."""
    sizes = dataclasses.replace(tiny.csm_config(), text_vocab_size=1_000_000)
    with torch.device("meta"):
        num_bytes = 4 * sum(p.numel() for p in CSM(sizes).parameters())
    counts = {
        name: memory.count(memory.Case(rows=100, **kind), sizes, on_cpu=False) / num_bytes
        for name, kind in {
            "lora": {"lora": True},
            "all": {"lora": False},
            "averaged": {"lora": False, "ema": True},
        }.items()
    }
    assert counts == pytest.approx({"lora": 1, "all": 4, "averaged": 5}, rel=0.02)


def test_the_fused_kernel_needs_less_for_long_rows(memory: ModuleType) -> None:
    case = memory.Case(lora=True, rows=1000)
    scores = 8 * 1000 * 1000 * 4  # of one layer, fp32
    more = memory.count(case, SIZES, on_cpu=True) - memory.count(case, SIZES, on_cpu=False)
    assert more > 2 * scores


def test_the_table(
    memory: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory, "csm_1b", lambda: SIZES)
    monkeypatch.setattr(memory, "ROWS", (100, 200))
    monkeypatch.setattr(sys, "argv", ["training_memory.py"])
    memory.main()
    lines = capsys.readouterr().out.splitlines()
    assert {line.count("|") for line in lines} == {6}
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| LoRA", "| all weights", "| all weights, with averages",
    ]  # fmt: skip
