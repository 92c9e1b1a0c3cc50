"""Adapters of peft for transformers' CSM: merged by us, and merged by peft."""

from __future__ import annotations

import copy
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import nn

from causerie import TTS
from causerie.checkpoint import load, save
from causerie.checkpoint.adapter import Adapter
from causerie.errors import CheckpointError
from tests import tiny
from tests.parity import references

#: As unsloth's notebook for csm-1b has them. They match layers of the codec too.
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
WEIGHTS = "adapter_model.safetensors"

pytestmark = pytest.mark.filterwarnings("ignore")  # of peft and transformers, for each other


@pytest.fixture(scope="module")
def trained(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, transformers.CsmForConditionalGeneration]:
    """An adapter's folder, and the model that peft merges."""
    place = tmp_path_factory.mktemp("trained") / "adapter"
    with warnings.catch_warnings(action="ignore"):
        return place, train(place, folder)


@pytest.fixture
def adapter(trained: tuple[Path, transformers.CsmForConditionalGeneration], tmp_path: Path) -> Path:
    """A copy of the adapter's folder, to be changed."""
    return Path(shutil.copytree(trained[0], tmp_path / "adapter"))


def train(folder: Path, base: Path, **settings: Any) -> transformers.CsmForConditionalGeneration:
    """Write an adapter with random weights; returns the model that peft merges."""
    torch.manual_seed(1)
    import peft  # takes seconds

    config = peft.LoraConfig(**{"r": 2, "lora_alpha": 6, "target_modules": LAYERS, **settings})
    adapted = peft.get_peft_model(references.csm_of_transformers(), config)
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    for name, weight in adapted.named_parameters():
        if weight.requires_grad and "codec_model" not in name:  # which training never changes
            nn.init.normal_(weight, std=0.3)
    adapted.save_pretrained(folder)
    return adapted.merge_and_unload()


def assert_equal_to(
    theirs: transformers.CsmForConditionalGeneration, ours: Path, tmp_path: Path
) -> None:
    expected = load(references.save(theirs, tmp_path / "merged"))
    merged = load(ours)
    for part in ("model", "codec"):
        one, other = getattr(merged, part).state_dict(), getattr(expected, part).state_dict()
        assert one.keys() == other.keys()
        for name in one:
            torch.testing.assert_close(one[name], other[name], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        pytest.param({"use_rslora": True}, marks=pytest.mark.slow),
        pytest.param({"fan_in_fan_out": True}, marks=pytest.mark.slow),
        {"rank_pattern": {"q_proj": 3}, "alpha_pattern": {"layers.1.mlp.up_proj": 9}},
        pytest.param(
            {"modules_to_save": ["lm_head", "codebooks_head", "inputs_embeds_projector"]},
            marks=pytest.mark.slow,
        ),
        pytest.param({"target_modules": [*LAYERS, "embed_text_tokens"]}, marks=pytest.mark.slow),
        pytest.param({"target_modules": r"depth_decoder\..*\.(q|v)_proj"}, marks=pytest.mark.slow),
    ],
)
def test_merged_as_peft_merges(folder: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    theirs = train(tmp_path / "adapter", folder, **settings)
    plain, merged = load(folder), load(tmp_path / "adapter")
    name = "depth.layers.0.attention.q_proj.weight"
    assert not torch.allclose(
        plain.model.state_dict()[name], merged.model.state_dict()[name], atol=0.1
    )
    assert merged.base == str(folder)
    assert_equal_to(theirs, tmp_path / "adapter", tmp_path)


def test_an_adapter_speaks_as_the_merged_model(
    trained: tuple[Path, transformers.CsmForConditionalGeneration], folder: Path, tmp_path: Path
) -> None:
    references.save(trained[1], tmp_path / "merged")
    codes = [
        TTS.from_pretrained(place, device="cpu")
        .generate("Hello.", temperature=0.0, max_duration_s=0.4)
        .codes
        for place in (trained[0], tmp_path / "merged", folder)
    ]
    assert torch.equal(codes[0], codes[1])
    assert not torch.equal(codes[0], codes[2])


@pytest.mark.parametrize("layout", ["own", "beside", "relative", "pickle", "codec", "wrapped"])
def test_where_adapters_and_bases_lie(
    trained: tuple[Path, transformers.CsmForConditionalGeneration],
    adapter: Path,
    folder: Path,
    tmp_path: Path,
    layout: str,
) -> None:
    theirs = copy.deepcopy(trained[1])
    config = json.loads((adapter / "adapter_config.json").read_text())
    tensors = load_file(adapter / WEIGHTS)
    if layout == "own":
        save(tmp_path / "base", load(folder))
        config["base_model_name_or_path"] = str(tmp_path / "base")
    elif layout == "beside":
        shutil.copytree(folder, adapter, dirs_exist_ok=True)
        config["base_model_name_or_path"] = "somebody/gone"
    elif layout == "relative":
        shutil.copytree(folder, adapter / "base")
        config |= {"base_model_name_or_path": "base", "revision": "main"}
    elif layout == "pickle":
        torch.save(tensors, adapter / "adapter_model.bin")
        (adapter / WEIGHTS).unlink()
    elif layout == "wrapped":
        wrapped = {
            name.replace("model.backbone_model", "model._orig_mod.backbone_model"): tensor
            for name, tensor in tensors.items()
        }
        save_file({f"module.{name}": tensor for name, tensor in wrapped.items()}, adapter / WEIGHTS)
    else:  # an adapter that changes the codec after all
        end = "decoder_transformer.layers.0.self_attn.k_proj.lora_B.weight"
        name = next(name for name in tensors if name.endswith(end))
        part = name.removeprefix("base_model.model.").removesuffix(".lora_B.weight")
        tensors[name] = torch.ones_like(tensors[name])
        save_file(tensors, adapter / WEIGHTS)
        layer = theirs.get_submodule(part)
        delta = 3 * tensors[name] @ tensors[name.replace("lora_B", "lora_A")]
        with torch.no_grad():
            layer.weight += delta
        checkpoint = tiny.checkpoint()
        with pytest.raises(CheckpointError, match="changes the codec: load it as a model"):
            Adapter.open(adapter).merge_into(checkpoint.model, checkpoint.codec)
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    assert_equal_to(theirs, adapter, tmp_path)


def test_merging_into_bf16_rounds_once(adapter: Path) -> None:
    exact = load(adapter).model.state_dict()
    halved = load(adapter, dtype=torch.bfloat16).model.state_dict()
    assert all(torch.equal(halved[name], exact[name].bfloat16()) for name in exact)


# -- what can go wrong ---------------------------------------------------------------------------


def change(adapter: Path, **values: object) -> None:
    """Change the adapter's configuration."""
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"base_model_name_or_path": None},
            "does not name its base; name its base: causerie merge",
        ),
        (
            {"base_model_name_or_path": "/gone/csm-1b"},
            "is an adapter of /gone/csm-1b, which cannot be opened: .* causerie merge .* --base",
        ),
        (
            {"base_model_name_or_path": "anna/csm", "revision": "v2"},
            "is an adapter of anna/csm@v2, which cannot be opened: anna/csm is not in the cache",
        ),
        (
            {"base_model_name_or_path": "unsloth/csm-1b", "revision": "unsloth"},
            "is an adapter of unsloth/csm-1b, which cannot be opened",
        ),
        ({"peft_type": "IA3"}, "is an adapter of kind IA3, and causerie merges LoRA only"),
        ({"use_dora": True}, "is an adapter of kind DoRA, and causerie merges LoRA only"),
        ({"r": 8}, "has rank 2, but adapter_config.json says 8.0"),
        ({"lora_alpha": None}, "holds no readable adapter: lora_alpha is None"),
    ],
)
def test_adapters_that_cannot_be_merged(
    adapter: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    values: dict[str, object],
    message: str,
) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    change(adapter, **values)
    with pytest.raises(CheckpointError, match=message) as caught:
        load(adapter)
    assert len(str(caught.value)) < 1_000
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("backbone_model.layers.9.self_attn.q_proj.lora_A.weight", (2, 64), "not complete"),
        ("lm_head.weight", (3, 4), r"lm_head\.weight \(3, 4\) where \(35, 64\) is expected"),
        ("visual.weight", (3, 4), r"1 of its tensors do not fit, such as visual\.weight"),
        ("lm_head.bias", (35,), r"1 of its tensors do not fit, such as lm_head\.bias"),
    ],
)
def test_tensors_that_do_not_fit(
    adapter: Path, name: str, shape: tuple[int, ...], message: str
) -> None:
    path = adapter / WEIGHTS
    save_file(load_file(path) | {f"base_model.model.{name}": torch.zeros(shape)}, path)
    with pytest.raises(CheckpointError, match=message):
        load(adapter)


def test_the_adapter_of_a_larger_model(adapter: Path) -> None:
    path = adapter / WEIGHTS
    wide = {
        name: torch.ones(tensor.shape[0], 99) if "lora_A" in name else tensor
        for name, tensor in load_file(path).items()
    }
    save_file(wide, path)
    with pytest.raises(CheckpointError, match=r"another model: \d+ of its tensors.* \(64, 99\)"):
        load(adapter)


def test_a_base_for_a_whole_model(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is not an adapter.* needs no base"):
        load(folder, base="petit")
