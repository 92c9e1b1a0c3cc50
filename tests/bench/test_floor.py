"""The floor: what a frame of csm-1b reads."""

from __future__ import annotations

import pytest
import torch

from causerie.bench.floor import NATIVE_BYTES, bandwidth_gb_s, frame_bytes
from causerie.config import csm_1b
from causerie.model.csm import CSM


def test_bytes_are_those_of_all_weights() -> None:
    """Each weight of the backbone once, each of the depth decoder in all 31 passes."""
    config = csm_1b()
    with torch.device("meta"):
        model = CSM(config)
    backbone = sum(p.numel() for p in model.backbone.parameters() if p.dim() > 1)
    depth = sum(p.numel() for p in model.depth.parameters() if p.dim() > 1)
    once = backbone + model.codebook0_head.weight.numel() + model.projection.weight.numel()
    heads = model.audio_heads.numel()
    assert frame_bytes(config, "bfloat16", "bfloat16") == 2 * (once + 31 * depth + heads)
    mixed = frame_bytes(config, "bfloat16", "int4")
    assert mixed == pytest.approx(2 * once + 0.53125 * (31 * depth + heads))


def test_native_kernels_read_bf16_in_12_bits_and_a_little() -> None:
    config = csm_1b()
    found = frame_bytes(config, "bfloat16", "bfloat16", weight_bytes=NATIVE_BYTES)
    assert 0.75 < found / frame_bytes(config, "bfloat16", "bfloat16") < 0.76


def test_keys_and_values_are_read_by_each_stream() -> None:
    """16 layers of 8 heads of 64, keys and values, 2 bytes each: 32 KiB a row."""
    config = csm_1b()
    none = frame_bytes(config, "bfloat16", "bfloat16")
    some = frame_bytes(config, "bfloat16", "bfloat16", rows=10, streams=3)
    assert some - none == 3 * 10 * 32 * 1024


def test_bandwidth_is_measured() -> None:
    found = bandwidth_gb_s(torch.device("cpu"), num_bytes=2**22, seconds=0.01)
    assert 0.01 < found < 100_000
