"""Our own layout: save → load is the identity, and errors name tensors that do not fit."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from causerie.checkpoint import GenerationDefaults, load, load_codec, save, save_codec
from causerie.checkpoint.fill import MAX_NAMES
from causerie.config import MimiConfig
from causerie.errors import CheckpointError, ConfigError
from tests import tiny


def equal(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(
        ours[name].dtype == theirs[name].dtype and torch.equal(ours[name], theirs[name])
        for name in ours
    )


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "copy"))


def change_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_round_trip_is_exact(tiny_folder: Path) -> None:
    loaded, original = load(tiny_folder), tiny.checkpoint()
    assert loaded.model.config == original.model.config
    assert loaded.codec.config == original.codec.config
    assert equal(loaded.model, original.model)
    assert equal(loaded.codec, original.codec)
    assert loaded.defaults == original.defaults
    assert loaded.front_end.kind == "plain"
    assert loaded.tokenizer.encode("Hé!", 3) == original.tokenizer.encode("Hé!", 3)
    assert not loaded.model.training
    assert not loaded.codec.training


def test_round_trip_in_bf16_keeps_the_codec_fp32(tiny_folder: Path, tmp_path: Path) -> None:
    first = load(tiny_folder, dtype=torch.bfloat16)
    assert {p.dtype for p in first.model.parameters()} == {torch.bfloat16}
    assert {t.dtype for t in first.codec.state_dict().values()} == {torch.float32}
    save(tmp_path, first)
    again = load(tmp_path, dtype=torch.bfloat16)
    assert equal(first.model, again.model)
    assert equal(first.codec, again.codec)


def test_half_precision_on_disk(tiny_folder: Path, tmp_path: Path) -> None:
    save(tmp_path, load(tiny_folder), dtype=torch.float16)
    assert {t.dtype for t in load_file(tmp_path / "model.safetensors").values()} == {torch.float16}
    halved, exact = load(tmp_path).model.audio_heads, load(tiny_folder).model.audio_heads
    assert halved.dtype == torch.float32
    assert torch.equal(halved, exact.half().float())


def test_saving_over_the_loaded_folder(folder: Path, tiny_folder: Path) -> None:
    save(folder, load(folder))
    assert equal(load(folder).model, load(tiny_folder).model)


def test_defaults_and_voices_come_along(folder: Path, tmp_path: Path) -> None:
    change_config(folder, generation={"temperature": 0.7, "top_k": 9, "depth_temperature": 0.5})
    (folder / "voices").mkdir()
    save_file({"codes": torch.zeros(1)}, folder / "voices" / "anna.safetensors")
    save(tmp_path / "copy", load(folder))
    loaded = load(tmp_path / "copy")
    assert loaded.defaults == GenerationDefaults(temperature=0.7, top_k=9, depth_temperature=0.5)
    assert loaded.voices == {"anna": tmp_path / "copy" / "voices" / "anna.safetensors"}


def test_lexicon_comes_along(folder: Path, tmp_path: Path) -> None:
    from importlib.resources import files

    lexicon = Path(str(files("causerie") / "assets" / "petit" / "lexicon.txt.gz"))
    shutil.copyfile(lexicon, folder / "lexicon.txt.gz")
    change_config(folder, front_end="phonemes")
    save(tmp_path / "copy", load(folder))
    assert load(tmp_path / "copy").front_end("Hello.") == load(folder).front_end("Hello.")


def test_source_filter_round_trip_is_exact(tmp_path: Path) -> None:
    codec = tiny.mimi(config=tiny.source_filter_config())
    save(tmp_path / "model", dataclasses.replace(tiny.checkpoint(), codec=codec))
    save_codec(tmp_path / "codec", codec)
    for again in (
        load(tmp_path / "model").codec,
        load_codec(tmp_path / "model"),
        load_codec(tmp_path / "codec"),
    ):
        assert again.config == codec.config
        assert equal(again, codec)


def test_configuration_without_a_source_filter_decoder_has_no_new_key(
    tiny_folder: Path, tmp_path: Path
) -> None:
    """Versions without this decoder read it."""
    save_codec(tmp_path, tiny.mimi())
    for folder in (tiny_folder, tmp_path):
        codec = json.loads((folder / "config.json").read_text())["codec"]
        names = [field.name for field in dataclasses.fields(MimiConfig)]
        assert list(codec) == [name for name in names if name != "decoder"]


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        ("seanet", "codec.decoder must be a table, not 'seanet'"),
        ({"width": 4}, "unknown key codec.decoder.width"),
        ({"dims": 4}, "unknown key codec.decoder.dims: did you mean dim"),
        ({"dim": 0}, "codec.decoder.SourceFilterConfig.dim must be a positive integer, not 0"),
        ({"dim": "wide"}, "codec.decoder.dim must be a whole number, not 'wide'"),
        ({"steps": 4}, "codec.decoder makes frames of 960 samples"),
        ({}, "tensors .* missing: .*decoder.body.0"),
    ],
)
def test_wrong_decoder(folder: Path, decoder: object, message: str) -> None:
    codec = json.loads((folder / "config.json").read_text())["codec"]
    change_config(folder, codec={**codec, "decoder": decoder})
    for read in (load, load_codec):
        with pytest.raises(CheckpointError, match=message):
            read(folder)


def test_codec_alone(tiny_folder: Path) -> None:
    assert equal(load_codec(tiny_folder), load(tiny_folder).codec)


def test_codec_alone_of_another_version(folder: Path) -> None:
    change_config(folder, version=2)
    with pytest.raises(
        CheckpointError, match="has version 2 of the layout, and this causerie reads 1"
    ):
        load_codec(folder)


def test_generation_defaults() -> None:
    plain = GenerationDefaults(temperature=0.7, top_k=9)
    assert (plain.acoustic_temperature, plain.acoustic_top_k) == (0.7, 9)
    own = GenerationDefaults(temperature=0.7, top_k=9, depth_temperature=0.0, depth_top_k=0)
    assert (own.acoustic_temperature, own.acoustic_top_k) == (0.0, 0)
    for wrong in ({"temperature": -1.0}, {"top_k": -1}, {"depth_temperature": float("nan")}):
        with pytest.raises(ConfigError):
            GenerationDefaults(**wrong)


def test_every_wrong_tensor_is_in_one_error(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.projection.weight"], tensors["codec.downsample.weight"]
    tensors["model.extra"] = torch.zeros(2)
    tensors["model.codebook0_head.weight"] = torch.zeros(3, 4)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    message = str(caught.value)
    assert "2 missing: codec.downsample.weight, model.projection.weight" in message
    assert "1 surplus: model.extra" in message
    assert "codebook0_head.weight (3, 4) where (35, 64) is expected" in message


def test_many_wrong_tensors_take_one_short_line(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file({f"{name}.other": t for name, t in tensors.items()}, folder / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    message = str(caught.value)
    assert f"{len(tensors)} missing: " in message
    assert f" and {len(tensors) - MAX_NAMES} more; {len(tensors)} surplus: " in message
    assert len(message) < 1_000


@pytest.mark.parametrize("name", ["model.text_embeddings.weight", "backbone.layers.0.o.scales"])
def test_weights_for_mlx(tmp_path: Path, name: str) -> None:
    save_file({name: torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"for MLX.* the same name with -transformers"):
        load(tmp_path)


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def empty(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "model.safetensors cannot be read"),
        (empty, "model.safetensors cannot be read"),
        (pointer, "model.safetensors cannot be read"),
        (lambda f: (f / "model.safetensors").unlink(), "holds no weights"),
        (lambda f: (f / "config.json").unlink(), "no CSM of a known layout"),
        (lambda f: (f / "config.json").write_text("{"), "cannot be read as JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "no JSON object"),
        (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json is missing"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "is no tokenizer.json"),
        (lambda f: change_config(f, version=2), "version 2"),
        (lambda f: change_config(f, model={"dim": 4}), "unknown key model.dim"),
        (lambda f: change_config(f, codec={"dim": "wide"}), "config.json"),
        (lambda f: change_config(f, front_end="runes"), "runes"),
        (lambda f: change_config(f, front_end="phonemes"), "lexicon.txt.gz is missing"),
        (lambda f: change_config(f, generation={"heat": 1}), "heat"),
    ],
)
def test_damaged_folders(folder: Path, damage, message: str) -> None:
    damage(folder)
    with pytest.raises(CheckpointError, match=message):
        load(folder)


def test_tokenizer_of_another_model(folder: Path) -> None:
    path = folder / "tokenizer.json"
    values = json.loads(path.read_text())
    last = max(token["id"] for token in values["added_tokens"])
    extra = values["added_tokens"][-1] | {"id": last + 1, "content": "<|more|>"}
    values["added_tokens"].append(extra)
    path.write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match="261 tokens, but the model only 260"):
        load(folder)
