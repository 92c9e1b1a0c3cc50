"""Models of CSM's family: MisoTTS and Marvis, and checkpoints that lack their configuration."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor

from causerie import TTS
from causerie.checkpoint import configs, load, save, save_transformers
from causerie.checkpoint.keymap import CSMLayout, csm_entries, mimi_entries
from causerie.checkpoint.locate import CODECS
from causerie.checkpoint.shapes import csm_from_shapes, is_published
from causerie.config import CSMConfig, LlamaConfig, MimiConfig, csm_1b, marvis_250m, miso_8b
from causerie.errors import CheckpointError
from causerie.model.csm import CSM
from causerie.text.tokenizer import TextTokenizer
from tests import tiny

#: The sizes of MisoTTS divided by 32, with the heads that are assumed for them.
SMALL = CSMConfig(
    backbone=LlamaConfig(
        num_layers=4, dim=128, num_heads=4, num_kv_heads=1, head_dim=32, ffn_dim=448
    ),
    depth=LlamaConfig(num_layers=2, dim=48, num_heads=4, num_kv_heads=1, head_dim=16, ffn_dim=216),
    num_codebooks=tiny.NUM_CODEBOOKS,
    audio_vocab_size=tiny.CODEBOOK_SIZE + 3,
    text_vocab_size=260,
)
ORIGINAL = {
    "audio_num_codebooks": 5,
    "audio_vocab_size": 35,
    "text_vocab_size": 260,
}


def original(model: CSM) -> dict[str, Tensor]:
    """A model's tensors in the original layout."""
    ours = model.state_dict()
    return {
        name: part.contiguous()
        for entry in csm_entries(model.config, "original")
        for name, part in zip(entry.theirs, entry.form.split(ours[entry.ours]), strict=True)
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as MisoTTS' repository, with a tokenizer and the codec's file beside it."""
    monkeypatch.setattr(configs, "KYUTAI_MIMI", tiny.mimi_config())
    save_file(original(tiny.csm(config=SMALL)), tmp_path / "model.safetensors")
    codec = tiny.mimi()
    ours = codec.state_dict()
    tensors = {
        name: part.clone().contiguous()
        for entry in mimi_entries(codec.config, "kyutai")
        for name, part in zip(entry.theirs, entry.form.split(ours[entry.ours]), strict=True)
    }
    save_file(tensors, tmp_path / CODECS[0][1])
    tiny.tokenizer().save(tmp_path / "tokenizer.json")
    return tmp_path


def speak(place: Path) -> Tensor:
    tts = TTS.from_pretrained(place, device="cpu")
    codes = tts.generate("Hello.", temperature=0.0, max_duration_s=0.4).codes
    assert codes is not None
    return codes


@pytest.mark.parametrize(
    "values",
    [
        None,
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"audio_num_codebooks": 5}, marks=pytest.mark.slow),
        ORIGINAL,
        {"model_type": "miso_tts"},
    ],
)
def test_sizes_by_shapes(folder: Path, tmp_path: Path, values: dict[str, object] | None) -> None:
    if values is not None:
        (folder / "config.json").write_text(json.dumps(values))
    loaded = load(folder)
    assert loaded.model.config == SMALL
    exact = dataclasses.replace(tiny.checkpoint(), model=tiny.csm(config=SMALL))
    save(tmp_path / "ours", exact)
    assert torch.equal(speak(folder), speak(tmp_path / "ours"))


@pytest.mark.parametrize(
    "name", ["backbone.layers.0.attn.k_proj.weight", "audio_embeddings.weight"]
)
def test_a_size_that_no_tensor_shows(folder: Path, name: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors[name]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=f"no complete CSM: the tensor {name} is missing"):
        load(folder)


@pytest.mark.parametrize(
    ("sizes", "billions"), [(csm_1b(), 1.55), (marvis_250m(), 0.57), (miso_8b(), 8.19)]
)
@pytest.mark.parametrize("layout", ["original", "transformers"])
def test_published_models_by_shapes(sizes: CSMConfig, billions: float, layout: CSMLayout) -> None:
    with torch.device("meta"):
        model = CSM(sizes)
    assert sum(p.numel() for p in model.parameters()) / 1e9 == pytest.approx(billions, abs=0.01)
    ours = model.state_dict()
    shapes = {
        name: tuple(part.shape)
        for entry in csm_entries(sizes, layout)
        for name, part in zip(entry.theirs, entry.form.split(ours[entry.ours]), strict=True)
    }
    assert csm_from_shapes(shapes, layout) == sizes
    assert is_published(sizes)
    assert not is_published(SMALL)
    config = configs.csm_to_transformers(sizes, MimiConfig())
    again = configs.csm_from_transformers(json.loads(json.dumps(config)))
    for part in ("backbone", "depth"):  # the scaling is written in another form
        theirs, own = getattr(again, part), getattr(sizes, part)
        assert dataclasses.replace(theirs, rope_scaling=own.rope_scaling) == own


@pytest.mark.parametrize(
    ("backbone", "depth", "sizes"),
    [
        ("llama-1B", "llama-100M", csm_1b()),
        ("llama-250M", "llama-60M", marvis_250m()),
        ("llama-8B", "llama-300M", miso_8b()),
    ],
)
def test_flavors(backbone: str, depth: str, sizes: CSMConfig) -> None:
    values = {
        "backbone_flavor": backbone,
        "decoder_flavor": depth,
        "audio_num_codebooks": 32,
        "audio_vocab_size": 2051,
        "text_vocab_size": sizes.text_vocab_size,
    }

    def measure() -> CSMConfig:
        raise AssertionError("the configuration is complete")

    assert configs.csm_from_original(values, measure) == sizes


def smollm2(tokenizer: TextTokenizer) -> Tokenizer:
    """A tokenizer with SmolLM2's special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocab = {token: number for number, token in enumerate([*special, *alphabet])}
    built = Tokenizer(models.BPE(vocab, []))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    built.decoder = decoders.ByteLevel()
    built.add_special_tokens([AddedToken(token, special=True) for token in special])
    return built


def test_marvis_in_the_layout_of_transformers(tmp_path: Path) -> None:
    """Its proportions, and the tokens around a segment that Marvis takes from SmolLM2."""
    sizes = dataclasses.replace(
        SMALL,
        backbone=dataclasses.replace(
            SMALL.backbone, num_layers=6, dim=96, num_heads=12, num_kv_heads=3, head_dim=8
        ),
    )
    exact = dataclasses.replace(tiny.checkpoint(), model=tiny.csm(config=sizes))
    save_transformers(tmp_path / "marvis", exact)
    save(tmp_path / "ours", exact)
    tokenizer = smollm2(exact.tokenizer)
    for place in (tmp_path / "marvis", tmp_path / "ours"):
        tokenizer.save(str(place / "tokenizer.json"))
    ids = load(tmp_path / "marvis").tokenizer.encode("Hi", 0)
    assert (ids[0], ids[-1], len(ids)) == (1, 2, 7)
    assert torch.equal(speak(tmp_path / "marvis"), speak(tmp_path / "ours"))


def test_transformers_without_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a published model is recognized: the shapes do not show the rotary embedding."""
    exact = dataclasses.replace(tiny.checkpoint(), model=tiny.csm(config=SMALL))
    save_transformers(tmp_path, exact)
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"config\.json is missing or belongs to another"):
        load(tmp_path)
    monkeypatch.setattr("causerie.checkpoint.shapes._TRANSFORMERS", [SMALL.backbone, SMALL.depth])
    monkeypatch.setattr(configs, "KYUTAI_MIMI", tiny.mimi_config())
    assert load(tmp_path).model.config == SMALL


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "module._orig_mod."])
@pytest.mark.parametrize("layout", ["own", "transformers", "original"])
def test_wrapped_models(folder: Path, tmp_path: Path, layout: str, prefix: str) -> None:
    place = tmp_path / layout
    exact = dataclasses.replace(tiny.checkpoint(), model=tiny.csm(config=SMALL))
    if layout == "own":
        save(place, exact)
    elif layout == "transformers":
        save_transformers(place, exact)
    else:
        place = folder
    path = place / "model.safetensors"
    tensors = load_file(path)
    save_file({prefix + name: tensor for name, tensor in tensors.items()}, path)
    assert torch.equal(load(place).model.audio_heads, exact.model.audio_heads)
    inner = {  # a compiled part of a model
        name.replace("layers.0.", f"layers.0.{prefix}"): tensor for name, tensor in tensors.items()
    }
    save_file(inner, path)
    assert torch.equal(load(place).model.audio_heads, exact.model.audio_heads)


# -- the tokenizer that MisoTTS lacks ------------------------------------------------------------


def test_the_tokenizer_of_llama_is_fetched(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    monkeypatch.setattr(sys.modules["causerie.checkpoint.load"], "LLAMA_VOCAB", 260)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(
        CheckpointError, match=r"tokenizer\.json is missing: put .*unsloth/csm-1b there"
    ):
        load(folder)
    cached = tmp_path / "elsewhere.json"
    tiny.tokenizer().save(cached)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: str(cached))
    assert load(folder).tokenizer.vocab_size == 260


# -- what is kept in 16 bit ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (torch.float32, torch.float32),
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.bfloat16),
    ],
)
def test_dtype_auto_on_a_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: torch.dtype, expected: torch.dtype
) -> None:
    checkpoint = tiny.checkpoint()
    checkpoint.model.to(stored)
    save(tmp_path, checkpoint)
    tts = TTS.from_pretrained(tmp_path, device="cpu")
    assert tts.checkpoint.model.projection.weight.dtype == expected
    assert tts.checkpoint.codec.downsample.weight.dtype == torch.float32
    monkeypatch.setattr("causerie.native.library.problem", lambda: "there are none")
    without = TTS.from_pretrained(tmp_path, device="cpu")
    assert without.checkpoint.model.projection.weight.dtype == torch.float32


def test_auto_computes_what_bf16_computes(tmp_path: Path) -> None:
    checkpoint = tiny.checkpoint()
    checkpoint.model.to(torch.bfloat16)
    save(tmp_path, checkpoint)
    audio = [
        TTS.from_pretrained(tmp_path, device="cpu", dtype=dtype)
        .generate("Hello.", seed=1, max_duration_s=0.4)
        .samples.tobytes()
        for dtype in ("auto", "bfloat16")
    ]
    assert audio[0] == audio[1]


def test_weights_of_several_dtypes_are_computed_in_fp32(tmp_path: Path) -> None:
    checkpoint = tiny.checkpoint()
    checkpoint.model.to(torch.bfloat16)
    checkpoint.model.backbone.norm.float()
    save(tmp_path, checkpoint)
    assert TTS.from_pretrained(tmp_path, device="cpu").checkpoint.model.audio_heads.dtype == (
        torch.float32
    )
