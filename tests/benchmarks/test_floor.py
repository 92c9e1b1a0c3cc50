"""The floor: what a frame of csm-1b reads."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest
import torch

from causerie.config import csm_1b
from causerie.model.csm import CSM

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def floor() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        return importlib.import_module("floor")


def test_a_frame_reads_all_weights(floor: ModuleType) -> None:
    """The backbone's once, the depth decoder's in each of 31 passes."""
    config = csm_1b()
    with torch.device("meta"):
        model = CSM(config)
    backbone = sum(p.numel() for p in model.backbone.parameters() if p.dim() > 1)
    depth = sum(p.numel() for p in model.depth.parameters() if p.dim() > 1)
    once = backbone + model.codebook0_head.weight.numel() + model.projection.weight.numel()
    heads = model.audio_heads.numel()
    assert floor.frame_bytes(config, "bfloat16", "bfloat16") == 2 * (once + 31 * depth + heads)
    mixed = floor.frame_bytes(config, "bfloat16", "int4")
    assert mixed == pytest.approx(2 * once + 0.53125 * (31 * depth + heads))


def test_native_kernels_read_bf16_in_12_bits_and_a_little(floor: ModuleType) -> None:
    config = csm_1b()
    found = floor.frame_bytes(config, "bfloat16", "bfloat16", weight_bytes=floor.NATIVE_BYTES)
    assert 0.75 < found / floor.frame_bytes(config, "bfloat16", "bfloat16") < 0.76


def test_each_stream_reads_its_keys_and_values(floor: ModuleType) -> None:
    """16 layers of 8 heads of 64, keys and values, 2 bytes each: 32 KiB a row."""
    config = csm_1b()
    none = floor.frame_bytes(config, "bfloat16", "bfloat16")
    some = floor.frame_bytes(config, "bfloat16", "bfloat16", rows=10, streams=3)
    assert some - none == 3 * 10 * 32 * 1024


def test_bandwidth_is_measured(floor: ModuleType) -> None:
    found = floor.bandwidth_gb_s(torch.device("cpu"), num_bytes=2**22, seconds=0.01)
    assert 0.01 < found < 100_000
