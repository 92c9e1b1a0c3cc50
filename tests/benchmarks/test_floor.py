"""The floor: what a frame of csm-1b reads."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from types import ModuleType

import pytest
import torch

from causerie.bench.ours import Ours
from causerie.config import MimiConfig, csm_1b
from causerie.engine.runners.plain import PlainRunner
from causerie.model.csm import CSM
from tests import tiny
from tests.engine.counting import Live

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
    ffn = sum(p.numel() for name, p in model.depth.named_parameters() if "ffn." in name)
    attention = depth - ffn
    bytes_read = 2 * (once - model.projection.weight.numel())
    bytes_read += 31 * (0.53125 * ffn + 0.65625 * attention)
    bytes_read += 1.03125 * (heads + model.projection.weight.numel())
    assert mixed == pytest.approx(bytes_read)


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


@pytest.mark.parametrize("config", [tiny.mimi_config(), tiny.source_filter_config()])
def test_sound_reads_the_weights_of_the_decoder(floor: ModuleType, config: MimiConfig) -> None:
    checkpoint = dataclasses.replace(tiny.checkpoint(), codec=tiny.mimi(config=config))
    runner = PlainRunner(checkpoint.model, checkpoint.codec, 1)
    ours = Ours("tiny", checkpoint, runner, ("float32", "float32"))
    with_codec, without = (
        floor.floor_bytes(ours, rows=0, streams=1, codec=codec) for codec in (True, False)
    )
    mimi = checkpoint.codec
    encoding = (mimi.encoder, mimi.encoder_transformer, mimi.downsample, mimi.quantizer)
    weights = sum(p.numel() for p in mimi.parameters())
    weights -= sum(p.numel() for part in encoding for p in part.parameters())
    assert with_codec - without == 4 * weights


def test_the_bandwidth_of_a_gpu_is_that_of_reading(floor: ModuleType) -> None:
    """What a copy writes would need memory, and time."""
    with Live() as live:
        floor.bandwidth_gb_s(torch.device("meta"), num_bytes=2**22, seconds=0.01)
    assert 2**22 <= live.peak < 1.1 * 2**22


def test_bandwidth_is_measured(floor: ModuleType) -> None:
    found = floor.bandwidth_gb_s(torch.device("cpu"), num_bytes=2**22, seconds=0.01)
    assert 0.01 < found < 100_000
