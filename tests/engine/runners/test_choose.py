"""The choice of the runner, and the errors."""

from __future__ import annotations

import pytest
import torch

from causerie.engine.runners.batched import BatchedRunner
from causerie.engine.runners.choose import new_runner
from causerie.engine.runners.native import NativeRunner
from causerie.engine.runners.plain import PlainRunner
from causerie.errors import ConfigError
from causerie.native import library
from tests import tiny

CHECKPOINT = tiny.checkpoint()


def test_a_cpu_has_native_kernels() -> None:
    runner = new_runner(CHECKPOINT, 2, backbone_format="bfloat16", depth_format="int4")
    assert isinstance(runner, NativeRunner)
    assert runner.num_slots == 2
    assert runner.formats == {"backbone": "bfloat16", "depth": "int4"}


def test_auto_formats_lose_nothing() -> None:
    runner = new_runner(CHECKPOINT, 1, num_threads=1)
    assert isinstance(runner, NativeRunner)
    assert set(runner.formats.values()) == {"float32"}
    assert runner.num_threads == 1


def test_others_by_name() -> None:
    assert isinstance(new_runner(CHECKPOINT, 1, kernels="plain"), PlainRunner)
    assert isinstance(new_runner(CHECKPOINT, 1, kernels="batched"), BatchedRunner)


def test_a_batched_depth_decoder_in_8_bits() -> None:
    runner = new_runner(CHECKPOINT, 2, depth_format="int8", kernels="batched")
    assert isinstance(runner, BatchedRunner)
    weight, rounded = CHECKPOINT.model.depth.layers[0].ffn.down_proj.weight, runner._model.depth
    assert 0 < (weight - rounded.layers[0].down).abs().max() < weight.abs().max() / 100
    with pytest.raises(ConfigError, match="batched kernels were requested"):
        new_runner(CHECKPOINT, 2, depth_format="int4", kernels="batched")


def test_without_native_kernels_the_plain_runner_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "problem", lambda: "they were not built; `this` builds them")
    assert isinstance(new_runner(CHECKPOINT, 1), PlainRunner)
    with pytest.raises(ConfigError, match=r"weights as auto and int4: .*not built; `this`"):
        new_runner(CHECKPOINT, 1, depth_format="int4")


def test_formats_that_are_not_there() -> None:
    with pytest.raises(ConfigError, match=r"one of auto, float32, .*int4, not 'int3'"):
        new_runner(CHECKPOINT, 1, depth_format="int3")
    with pytest.raises(ConfigError, match="plain kernels were requested"):
        new_runner(CHECKPOINT, 1, backbone_format="int8", kernels="plain")


def test_other_devices() -> None:
    elsewhere = tiny.checkpoint()
    elsewhere.model.to("meta")
    assert elsewhere.model.projection.weight.device == torch.device("meta")
    assert isinstance(new_runner(elsewhere, 1), PlainRunner)
    with pytest.raises(ConfigError, match="a cpu, and the model is on meta"):
        new_runner(elsewhere, 1, kernels="native")
    with pytest.raises(ConfigError, match="store weights as auto and int8: the model is on meta"):
        new_runner(elsewhere, 1, depth_format="int8")
