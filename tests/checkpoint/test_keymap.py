"""Every name and shape of the published layouts at full size, by the references' own modules."""

from __future__ import annotations

import re

import moshi.models.loaders as moshi_loaders
import pytest
import torch
import transformers
from torch import Tensor

from causerie.checkpoint import configs
from causerie.checkpoint.keymap import (
    MIMI_ALIASES,
    Entry,
    csm_entries,
    interleaved,
    interleaved_qkv,
    mimi_entries,
)
from causerie.codec.mimi import Mimi
from causerie.config import MimiConfig, csm_1b
from causerie.model.csm import CSM

Shapes = dict[str, tuple[int, ...]]


def shapes_of(entries: list[Entry], ours: dict[str, Tensor]) -> Shapes:
    assert sorted(entry.ours for entry in entries) == sorted(ours)
    return {
        name: tuple(tensor.shape)
        for entry in entries
        for name, tensor in zip(entry.theirs, entry.form.split(ours[entry.ours]), strict=True)
    }


@pytest.fixture(scope="module")
def csm() -> dict[str, Tensor]:
    with torch.device("meta"):
        return CSM(csm_1b()).state_dict()


@pytest.fixture(scope="module")
def mimi() -> dict[str, Tensor]:
    with torch.device("meta"):
        return Mimi(MimiConfig()).state_dict()


def renamed(shapes: Shapes, layout: str) -> Shapes:
    result = {}
    for name, shape in shapes.items():
        for pattern, new in MIMI_ALIASES[layout]:
            name = re.sub(pattern, new, name)
        result[name] = shape
    return result


def test_transformers(csm: dict[str, Tensor], mimi: dict[str, Tensor]) -> None:
    exported = configs.csm_to_transformers(csm_1b(), MimiConfig())
    with torch.device("meta"):
        reference = transformers.CsmForConditionalGeneration(transformers.CsmConfig(**exported))
    theirs = {name: tuple(tensor.shape) for name, tensor in reference.state_dict().items()}
    codec = renamed(
        {n.removeprefix("codec_model."): s for n, s in theirs.items() if "codec_model." in n},
        "transformers",
    )
    model = {name: shape for name, shape in theirs.items() if "codec_model." not in name}
    assert (len(model), len(codec)) == (188, 350)
    assert model.pop("backbone_model.embed_tokens.embed_audio_tokens.weight") == (65632, 2048)
    assert shapes_of(csm_entries(csm_1b(), "transformers"), csm) == model
    assert shapes_of(mimi_entries(MimiConfig(), "transformers"), mimi) == codec


def test_kyutai(mimi: dict[str, Tensor]) -> None:
    with torch.device("meta"):
        reference = moshi_loaders.get_mimi(None, device="meta", num_codebooks=32)
    theirs = {name: tuple(tensor.shape) for name, tensor in reference.state_dict().items()}
    assert len(theirs) == 318
    assert shapes_of(mimi_entries(MimiConfig(), "kyutai"), mimi) == renamed(theirs, "kyutai")


def test_original(csm: dict[str, Tensor]) -> None:
    shapes = shapes_of(csm_entries(csm_1b(), "original"), csm)
    assert len(shapes) == 187
    assert shapes["audio_head"] == (31, 1024, 2051)
    assert shapes["backbone.layers.15.attn.k_proj.weight"] == (512, 2048)
    assert shapes["decoder.layers.3.mlp.w2.weight"] == (1024, 8192)
    assert shapes["decoder.norm.scale"] == (1024,)


@pytest.mark.parametrize("form", [interleaved(3), interleaved_qkv(3)])
def test_permutations_undo_each_other(form) -> None:
    weight = torch.randn(3 * 3 * 8, 5)
    assert torch.equal(form.join(form.split(weight)), weight)
    assert torch.equal(form.split(form.join([weight]))[0], weight)


def test_rows_of_a_head() -> None:
    rows = torch.arange(16)[:, None]
    joined = interleaved(2).join([rows])[:, 0].tolist()
    assert joined == [0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15]
