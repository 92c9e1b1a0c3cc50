"""Choices of torch's kernels: they hold while any thread is inside, and not after."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from causerie.config import MimiConfig
from causerie.engine.runners.slot_codec import SlotSeanet, new_slot_codec
from causerie.engine.runners.slot_model import SlotModel
from causerie.nn.attention import fused_attention
from causerie.nn.backends import Choice, exact_fp32, without_plans
from causerie.nn.kv_cache import KVCache
from tests import tiny


def choice_of(value: list[str]) -> Choice:
    def choose() -> Callable[[], object]:
        before, value[0] = value[0], "ours"
        return lambda: value.__setitem__(0, before)

    return Choice(choose)


def test_attention_without_plans() -> None:
    before = torch.backends.cuda.cudnn_sdp_enabled()
    assert before
    with without_plans():
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    assert torch.backends.cuda.cudnn_sdp_enabled()


def test_fp32_is_exact() -> None:
    backends = torch.backends
    assert backends.cudnn.allow_tf32  # torch's default
    with exact_fp32():
        assert not backends.cudnn.allow_tf32
        assert not backends.cuda.matmul.allow_tf32
    assert backends.cudnn.allow_tf32
    assert not backends.cuda.matmul.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"


def test_the_newer_switches_of_the_user_are_kept() -> None:
    """In a process of its own: torch does not go back to the older ones."""
    code = """
import torch
from causerie.nn.backends import exact_fp32
conv, matmul = torch.backends.cudnn.conv, torch.backends.cuda.matmul
conv.fp32_precision, matmul.fp32_precision = "ieee", "tf32"
with exact_fp32():
    print(conv.fp32_precision, matmul.fp32_precision)
print(conv.fp32_precision, matmul.fp32_precision)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ieee", "ieee", "ieee", "tf32"]


def test_the_last_thread_that_leaves_restores() -> None:
    value = ["mine"]
    choice = choice_of(value)
    entered, may_leave = threading.Event(), threading.Event()

    def other() -> None:
        with choice():
            entered.set()
            may_leave.wait(10)

    with choice():
        thread = threading.Thread(target=other)
        thread.start()
        assert entered.wait(10)
    assert value == ["ours"]  # the other one is still inside
    may_leave.set()
    thread.join()
    assert value == ["mine"]


def test_an_error_inside_restores() -> None:
    value = ["mine"]
    choice = choice_of(value)
    with pytest.raises(ValueError, match="inside"), choice(), choice():
        raise ValueError("inside")
    assert value == ["mine"]


@torch.no_grad()
def test_attention_with_a_mask_needs_no_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the model with and without a cache, of slots, and of the codec's two halves."""
    allowed: list[bool] = []
    attend = F.scaled_dot_product_attention

    def spy(*given: Tensor, **named: Any) -> Tensor:
        allowed.append(torch.backends.cuda.cudnn_sdp_enabled())
        return attend(*given, **named)

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    model, codec = tiny.csm(), tiny.mimi()
    frames, mask = tiny.frames(model.config)
    cache = KVCache(model.config.backbone, len(frames), 40)
    slots = SlotModel(model, 2, 40, tiny.CODEBOOK_SIZE)
    positions = torch.arange(frames.shape[1])[None]
    for compute in (
        lambda: [model.prefill(frames, mask, cache) for _ in range(2)],
        lambda: slots.read(frames, positions, 20),
        lambda: slots.read(frames[:1], positions, 20, torch.tensor([1])),
        lambda: codec.encode(torch.randn(1, 1, 2 * codec.config.frame_size)),
        lambda: codec.decode(torch.zeros(1, tiny.NUM_CODEBOOKS, 2, dtype=torch.int64)),
        lambda: SlotSeanet(codec, 1).decode(
            torch.zeros(1, tiny.NUM_CODEBOOKS, dtype=torch.int64),
            torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64),
        ),
        lambda: fused_attention(*torch.randn(3, 1, 2, 4, 8)),
    ):  # fmt: skip
        allowed.clear()
        compute()
        assert allowed
        assert not any(allowed)


@pytest.mark.parametrize("config", [tiny.mimi_config, tiny.source_filter_config])
def test_the_codec_is_exact(config: Callable[[], MimiConfig], monkeypatch: Any) -> None:
    """Its convolutions and products: whole, as a stream, and over slots."""
    tf32: list[bool] = []

    def spy_on(name: str) -> None:
        compute = getattr(F, name)

        def spy(*given: Any, **named: Any) -> Tensor:
            backends = torch.backends
            tf32.append(backends.cudnn.allow_tf32 or backends.cuda.matmul.allow_tf32)
            out: Tensor = compute(*given, **named)
            return out

        monkeypatch.setattr(F, name, spy)

    for name in ("conv1d", "conv_transpose1d", "linear"):
        spy_on(name)
    codec = tiny.mimi(config=config())
    codes = torch.zeros(1, tiny.NUM_CODEBOOKS, dtype=torch.int64)
    row = torch.zeros(1, dtype=torch.int64)
    for compute in (
        lambda: codec.encode(torch.randn(1, 1, 2 * codec.config.frame_size)),
        lambda: codec.decode(codes[..., None]),
        lambda: new_slot_codec(codec, 1).decode(codes, row, row),
    ):
        tf32.clear()
        with torch.inference_mode():
            compute()
        assert tf32
        assert not any(tf32)
