"""Low-rank adapters: placement, merging, and saving."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from causerie.checkpoint.adapter import Adapter
from causerie.errors import CheckpointError
from causerie.model.csm import CSM
from causerie.train.lm.config import LAYER_PARTS, Lora
from causerie.train.lm.lora import HEADS, add_adapters, merged, save_adapter, targets
from tests import tiny

LORA = Lora(rank=2, alpha=6.0, parts=("backbone", "depth", "heads"))


def logits(model: CSM) -> Tensor:
    torch.manual_seed(1)
    frames, mask = tiny.frames(model.config)
    predicted = mask[..., 0].clone()
    with torch.no_grad():
        first, rest = model(frames, mask, predicted)
    return torch.cat((first.flatten(), rest.flatten()))


def adapted(lora: Lora = LORA) -> CSM:
    """A model with random adapters."""
    model = tiny.csm()
    add_adapters(model, lora, seed=0)
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def test_new_adapters_change_nothing_and_freeze_the_rest() -> None:
    plain, model = tiny.csm(), tiny.csm()
    add_adapters(model, LORA, seed=0)
    assert torch.equal(logits(model), logits(plain))
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name for name in trained if "lora_" not in name} == {*HEADS}
    assert len(trained) == 2 * 7 * (3 + 2) + 3  # two matrices, seven maps, five layers


@pytest.mark.parametrize(
    ("lora", "count"),
    [
        (Lora(parts=("backbone",)), 7 * 3),
        (Lora(parts=("depth",), layers=("q_proj", "down_proj")), 2 * 2),
        (Lora(), 7 * 5),
    ],
)
def test_only_the_chosen_parts_are_adapted(lora: Lora, count: int) -> None:
    model = tiny.csm()
    names = targets(model, lora)
    assert len(names) == count
    add_adapters(model, lora, seed=0)
    found = {n for n, m in model.named_modules() if hasattr(m, "lora_A")}
    assert found == {*names}
    assert {name.split(".")[0] for name in names} == {*lora.parts}
    assert {name.split(".")[-1] for name in names} <= {*LAYER_PARTS}


def test_the_codec_is_not_adapted() -> None:
    """Names as q_proj alone would match these, were the codec inside the model."""
    checkpoint = tiny.checkpoint()
    before = {name: id(module) for name, module in checkpoint.codec.named_modules()}
    add_adapters(checkpoint.model, LORA, seed=0)
    assert {name: id(module) for name, module in checkpoint.codec.named_modules()} == before
    assert not any("lora_" in name for name, _ in checkpoint.codec.named_parameters())


def test_merged_weights_compute_the_same() -> None:
    model, plain = adapted(), tiny.csm()
    assert not torch.allclose(logits(model), logits(plain), atol=0.1)
    expected = logits(model)
    plain.load_state_dict(merged(model))
    torch.testing.assert_close(logits(plain), expected, atol=2e-5, rtol=1e-5)
    assert torch.equal(logits(model), expected)  # and the adapters are still there


def test_a_saved_adapter_merges_to_the_same_weights(tmp_path: Path) -> None:
    model = adapted()
    save_adapter(model, LORA, tmp_path, "tiny")
    plain = tiny.csm()
    Adapter.open(tmp_path).merge_into(plain)
    torch.testing.assert_close(logits(plain), logits(model), atol=2e-5, rtol=1e-5)


def test_peft_loads_a_saved_adapter(tmp_path: Path) -> None:
    lora = Lora(rank=2, alpha=6.0)
    model = adapted(lora)
    save_adapter(model, lora, tmp_path, "tiny")
    import peft  # takes seconds

    theirs = peft.PeftModel.from_pretrained(tiny.csm(), tmp_path)  # type: ignore[arg-type]
    assert torch.equal(logits(theirs.base_model.model), logits(model))


def test_adapters_of_other_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read as JSON"):
        Adapter.open(tmp_path)
    save_adapter(adapted(), LORA, tmp_path, "tiny")
    other = CSM(tiny.csm_config())
    other.projection = torch.nn.Linear(3, 4, bias=False)
    with pytest.raises(
        CheckpointError, match=r"adapter of another model: 1 of .* projection\.weight \(48, 64\)"
    ):
        Adapter.open(tmp_path).merge_into(other)
