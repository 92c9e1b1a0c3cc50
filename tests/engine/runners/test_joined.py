"""Joined weights: stored once, and the model's names, shapes and values stay."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from causerie.checkpoint import load, save
from causerie.config import csm_1b
from causerie.engine.runners.joined import ALIGNED, align, join
from causerie.engine.runners.slot_model import SlotModel
from causerie.model.csm import CSM
from tests import tiny


def num_bytes(*parts: CSM | SlotModel) -> int:
    """Bytes of the storages that hold weights of these."""
    tensors = []
    for part in parts:
        if isinstance(part, CSM):
            tensors += [*part.parameters()]
            continue
        for llama in (part.backbone, part.depth):
            tensors += [llama.norm, *(weight for layer in llama.layers for weight in layer)]
        tensors += [part.audio_heads, part._head0]
    storages = {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())


def test_weights_of_csm_1b_are_stored_once() -> None:
    """1.42 GB of its 3.1 were stored twice."""
    with torch.device("meta"):
        model = CSM(csm_1b()).bfloat16()
    before = num_bytes(model)
    slots = SlotModel(model, 1, 2049, 2048)
    after = num_bytes(model, slots)
    assert before == 2 * sum(weight.numel() for weight in model.parameters())
    assert 0 <= after - before < before / 1000  # the ends of the rows of the heads
    assert num_bytes(model, slots, SlotModel(model, 1, 2049, 2048)) == after  # a second engine


def test_products_are_aligned() -> None:
    """cuBLAS needs rows and results at multiples of 16 bytes for its fastest kernels."""
    with torch.device("meta"):
        model = CSM(csm_1b()).bfloat16()
    slots = SlotModel(model, 1, 2049, 2048)
    assert slots.audio_heads.shape == (31, 1024, 2048)
    assert slots.audio_heads.stride() == (1024 * 2056, 2056, 1)
    assert model.audio_heads.shape == (31, 1024, 2051)
    assert slots._head0.shape == (2048, 2048)
    for layer in (*slots.backbone.layers, *slots.depth.layers):
        assert all(weight.stride(0) % ALIGNED == 0 for weight in layer if weight.dim() > 1)


def test_the_models_weights_stay(tmp_path: Path) -> None:
    """As do what it computes, its copies, and what is saved."""
    checkpoint = tiny.checkpoint()
    model = checkpoint.model
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    frames, mask = tiny.frames(model.config)
    predicted = mask[..., 0].clone()
    predicted[:, 0] = False
    expected = model(frames, mask, predicted)
    SlotModel(model, 2, 20, tiny.CODEBOOK_SIZE)
    copied = copy.deepcopy(model)
    save(tmp_path, checkpoint)
    loaded = load(tmp_path).model
    for other in (model, copied, loaded):
        state = other.state_dict()
        assert list(state) == list(before)
        for name, weight in before.items():
            assert torch.equal(state[name], weight), name
        for found, wanted in zip(other(frames, mask, predicted), expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    with torch.no_grad():  # a copy shares nothing, as an adapter that is merged into it needs
        copied.backbone.layers[0].attention.q_proj.weight.zero_()
    assert torch.equal(model.state_dict()["backbone.layers.0.attention.q_proj.weight"],
                       before["backbone.layers.0.attention.q_proj.weight"])  # fmt: skip


def test_weights_that_change_in_place_change_in_both() -> None:
    model = tiny.csm()
    slots = SlotModel(model, 1, 20, tiny.CODEBOOK_SIZE)
    with torch.no_grad():
        model.backbone.layers[0].attention.k_proj.weight.fill_(3)  # type: ignore[union-attr]
        model.audio_heads.fill_(4)
    config = model.config.backbone
    first = config.num_heads * config.head_dim
    assert (slots.backbone.layers[0].qkv[first : first + config.num_kv_heads * 16] == 3).all()
    assert (slots.backbone.layers[0].qkv[:first] != 3).all()
    assert (slots.audio_heads == 4).all()


def test_weights_train_after_they_are_joined() -> None:
    weights = [nn.Parameter(torch.randn(rows, 4)) for rows in (3, 2)]
    joined = join(*weights)
    torch.stack([weight.sum() for weight in weights]).sum().backward()
    torch.optim.SGD(weights, lr=1.0).step()
    assert torch.equal(joined, torch.cat([weight.detach() for weight in weights]))
    assert not joined.requires_grad


@pytest.mark.parametrize("width", [5, 8, 16])
def test_aligned_rows(width: int) -> None:
    weight = nn.Parameter(torch.randn(2, 3, width))
    before = weight.detach().clone()
    aligned = align(weight)
    assert torch.equal(aligned, before)
    assert torch.equal(weight, before)
    assert aligned.stride(-2) % ALIGNED == 0
    assert align(weight).data_ptr() == aligned.data_ptr() == weight.data_ptr()
