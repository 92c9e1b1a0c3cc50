"""A whole codec training: from speech to a codec that loads, killed or not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from causerie import toml_config
from causerie.checkpoint import load_codec
from causerie.errors import ConfigError
from causerie.train.codec.run import CodecConfig, run
from tests.train.codec.test_codec import CODEC, ENCODER, RECOGNIZER, TINY
from tests.train.speech import write_speech_folder

CONFIG = CodecConfig(
    data="", out="", codec=TINY, trained_codebooks=4,
    encoder=ENCODER, recognizer=RECOGNIZER, whole=CODEC,
)  # fmt: skip


def test_a_trained_codec_loads_and_a_finished_run_is_left_alone(tmp_path: Path) -> None:
    data = write_speech_folder(tmp_path / "speech")
    config = dataclasses.replace(CONFIG, data=str(data), out=str(tmp_path / "out"))
    said: list[str] = []
    folder = run(config, say=said.append)
    assert said == ["encoder", "recognizer", "whole"]
    codec = load_codec(folder)
    assert codec.config == TINY
    pcm = torch.randn(1, 1, 5 * 1920)
    assert codec.decode(codec.encode(pcm)).shape == pcm.shape
    assert toml_config.read(CodecConfig, tmp_path / "out" / "config.toml") == config
    states = {path: path.read_bytes() for path in (tmp_path / "out").glob("*/state.pt")}
    assert len(states) == 3
    again = load_codec(run(config, say=said.append))
    for name, tensor in codec.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    changed = dataclasses.replace(config, whole=dataclasses.replace(CODEC, lr=0.5))
    with pytest.raises(ConfigError, match=r"lr was 0\.0008, is 0\.5"):
        run(changed, say=said.append)


def test_fewer_codebooks_than_are_kept_cannot_be_trained() -> None:
    with pytest.raises(ConfigError, match="trained_codebooks is 2, but the codec keeps 3"):
        dataclasses.replace(CONFIG, trained_codebooks=2)
