"""rounding.py: ways to round weights."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from types import ModuleType

import pytest
import torch

from causerie.config import LlamaConfig, csm_1b
from causerie.model.csm import CSM
from causerie.native import library
from causerie.native.products import Packed, Pool, gemm
from tests import tiny

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def rounding() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        return importlib.import_module("rounding")


def by_name(rounding: ModuleType) -> dict[str, object]:
    return {way.name: way for way in rounding.ways(num_depth_layers=4)}


def test_a_group_has_sixteen_multiples_of_a_scale_in_8_bits(rounding: ModuleType) -> None:
    weights = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    kept = rounding.plain(rounding.INT4, rounding.Scales(group=32))(weights, torch.eye(64))
    factors = weights.abs().amax(1) / (127 * 8)
    for number, group in enumerate(kept.view(-1, 32)):
        steps = group.unique().diff()
        wholes = group / steps.min()
        torch.testing.assert_close(wholes, wholes.round(), rtol=0, atol=1e-4)
        assert len(group.unique()) <= 16
        scale = (steps.min() / factors[number // 2]).item()
        assert scale == pytest.approx(round(scale), abs=1e-3)
        assert 1 <= round(scale) <= 127


def test_compensation_lowers_the_error_of_products_not_of_weights(rounding: ModuleType) -> None:
    random = torch.Generator().manual_seed(1)
    weights, mixing = torch.randn(40, 64, generator=random), torch.randn(64, 64, generator=random)
    x = torch.randn(500, 12, generator=random) @ mixing[:12] + 0.1 * torch.randn(500, 64)
    scales = rounding.Scales(group=32)
    alone = rounding.plain(rounding.INT4, scales)(weights.clone(), x.T @ x)
    together = rounding.compensated(rounding.INT4, scales)(weights.clone(), x.T @ x)
    assert (x @ (together - weights).T).norm() < 0.5 * (x @ (alone - weights).T).norm()
    assert (together - weights).norm() > (alone - weights).norm()


@pytest.mark.skipif(library.problem() is not None, reason="no native kernels are built here")
@pytest.mark.parametrize(("form", "levels"), [("int4", "INT4"), ("int5", "INT5")])
def test_the_kernels_round_about_as_well(rounding: ModuleType, form: str, levels: str) -> None:
    weights = torch.randn(64, 256, generator=torch.Generator().manual_seed(2))
    pool = Pool(1)
    kept = gemm(pool, Packed(pool, form, weights.numpy()), torch.eye(256).numpy()).T
    found = (torch.from_numpy(kept) - weights).norm()
    ours = rounding.plain(getattr(rounding, levels), rounding.Scales(group=32))
    expected = (ours(weights, torch.eye(256)) - weights).norm().item()
    assert found.item() == pytest.approx(expected, rel=0.05)


def test_bits_of_a_frame(rounding: ModuleType) -> None:
    config, ways = csm_1b(), by_name(rounding)
    bits = {name: rounding.frame_bits(way, config) for name, way in ways.items()}
    assert bits["int8"] == pytest.approx(8.25)
    before = bits["int4 before: groups of 64, the best of six scales"]
    assert before == pytest.approx(4.25 + 4 * 70 / 4490, abs=0.01)  # heads and projection
    for name in ("int4: attention in 5 bits", "int5+int4: backbone and attention in 5 bits"):
        assert 1 < bits[name] / before < 1.08


@torch.no_grad()
def test_every_way_rounds_a_model(rounding: ModuleType) -> None:
    llama = LlamaConfig(num_layers=2, dim=64, num_heads=1, num_kv_heads=1, head_dim=64, ffn_dim=64)
    model = CSM(dataclasses.replace(tiny.csm_config(), backbone=llama, depth=llama))
    names = rounding.matrices(model)
    assert len(names) == 2 * 2 * 7
    x = torch.randn(1, 200, 64, generator=torch.Generator().manual_seed(3))
    seen = rounding.moments(model, lambda: (model.backbone(x), model.depth(x)))
    for way in rounding.ways(num_depth_layers=2):
        coarse = rounding.matrices(rounding.rounded(model, way, seen))
        for name, matrix in names.items():
            error = (coarse[name].weight - matrix.weight).norm() / matrix.weight.norm()
            assert 0 < error < {4: 0.2, 5: 0.08, 8: 0.01}[int(way.bits(name))]
