"""The layout of transformers, written and read by us: its JSON files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from causerie.checkpoint import GenerationDefaults, load, save_transformers
from causerie.errors import CheckpointError
from tests import tiny

FLAVORS = {
    "backbone_flavor": "llama-1B", "decoder_flavor": "llama-100M", "audio_num_codebooks": 32,
    "audio_vocab_size": 2051, "text_vocab_size": 128_256,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_transformers(tmp_path, tiny.checkpoint())
    return tmp_path


@pytest.mark.parametrize("config", [None, {}, FLAVORS, {"model_type": "llama"}])
def test_a_config_of_something_else_is_no_configuration(
    folder: Path, config: dict[str, Any] | None
) -> None:
    """Otherwise the rotary embedding would silently lose its scaling."""
    (folder / "config.json").unlink()
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        CheckpointError, match=r"config\.json is missing or belongs to another .* not 'csm'"
    ):
        load(folder)


@pytest.mark.parametrize(
    ("values", "temperatures", "top_ks"),
    [
        ({}, (0.9, 0.9), (50, 50)),
        ({"temperature": 0.5, "top_k": None}, (0.5, 0.5), (50, 50)),
        ({"top_k": 0, "depth_decoder_top_k": 7}, (0.9, 0.9), (0, 7)),
        ({"top_k": 7, "depth_decoder_top_k": 0}, (0.9, 0.9), (7, 0)),
        ({"temperature": 0.5, "depth_decoder_temperature": 0.0}, (0.5, 0.0), (50, 50)),
        ({"do_sample": False, "temperature": 0.5}, (0.0, 0.0), (50, 50)),
        ({"do_sample": True, "depth_decoder_do_sample": False}, (0.9, 0.0), (50, 50)),
    ],
)
def test_generation_config(
    folder: Path,
    values: dict[str, Any],
    temperatures: tuple[float, float],
    top_ks: tuple[int, int],
) -> None:
    (folder / "generation_config.json").write_text(json.dumps(values))
    defaults = load(folder).defaults
    assert (defaults.temperature, defaults.acoustic_temperature) == temperatures
    assert (defaults.top_k, defaults.acoustic_top_k) == top_ks


def test_generation_config_that_means_nothing(folder: Path) -> None:
    (folder / "generation_config.json").write_text('{"temperature": "hot"}')
    with pytest.raises(CheckpointError, match=r"generation_config\.json: temperature must be"):
        load(folder)


@pytest.mark.parametrize("depth_temperature", [None, 0.0, 0.4])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_defaults_there_and_back(
    tmp_path: Path, temperature: float, depth_temperature: float | None
) -> None:
    defaults = GenerationDefaults(
        temperature=temperature, top_k=0, depth_temperature=depth_temperature, depth_top_k=5
    )
    save_transformers(tmp_path, dataclasses.replace(tiny.checkpoint(), defaults=defaults))
    again = load(tmp_path).defaults
    assert (again.temperature, again.top_k) == (temperature, 0)
    assert again.acoustic_temperature == defaults.acoustic_temperature
    assert again.acoustic_top_k == 5


def test_a_source_filter_decoder_is_refused(tmp_path: Path) -> None:
    codec = tiny.mimi(config=tiny.source_filter_config())
    checkpoint = dataclasses.replace(tiny.checkpoint(), codec=codec)
    with pytest.raises(CheckpointError, match=r"source-filter decoder.*save the model in causerie"):
        save_transformers(tmp_path / "out", checkpoint)
    assert not (tmp_path / "out").exists()
