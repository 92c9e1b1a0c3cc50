"""A whole codec training: from speech to a codec that loads, killed or not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from causerie.checkpoint import load_codec
from causerie.errors import ConfigError
from causerie.train import codec_run, settings
from causerie.train.codec_run import CodecConfig, encoder_weights, train_codec
from causerie.train.data import EncodedSpeech
from tests.train.speech import write_speech_folder
from tests.train.test_codec import DECODER, ENCODER, RECOGNIZER, TINY

CONFIG = CodecConfig(
    data="", out="", codec=TINY, trained_codebooks=4,
    encoder=ENCODER, recognizer=RECOGNIZER, decoder=DECODER,
)  # fmt: skip


def test_a_trained_codec_loads_and_a_finished_run_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_speech_folder(tmp_path / "speech")
    config = dataclasses.replace(CONFIG, data=str(data), out=str(tmp_path / "out"))
    said: list[str] = []
    folder = train_codec(config, say=said.append)
    assert said == ["encoder", "codes", "recognizer", "decoder"]
    codec = load_codec(folder)
    assert codec.config == TINY
    speech = EncodedSpeech.load(tmp_path / "out" / "codes.npz")
    assert len(speech) == 6
    pcm = torch.randn(1, 1, 5 * 1920)
    assert codec.decode(codec.encode(pcm)).shape == pcm.shape
    assert settings.read(CodecConfig, tmp_path / "out" / "config.toml") == config
    before = (tmp_path / "out" / "codes.npz").stat().st_mtime_ns
    monkeypatch.setattr(codec_run, "encode", None)
    again = load_codec(train_codec(config, say=said.append))
    assert (tmp_path / "out" / "codes.npz").stat().st_mtime_ns == before
    for name, tensor in codec.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    changed = dataclasses.replace(config, decoder=dataclasses.replace(DECODER, lr=0.5))
    with pytest.raises(ConfigError, match=r"lr was 0\.002, is 0\.5"):
        train_codec(changed, say=said.append)


def test_the_rarest_code_becomes_code_0_of_codebook_0(tmp_path: Path) -> None:
    semantic = torch.arange(12.0).reshape(1, 4, 3)
    codec = {
        "quantizer.semantic.centroids": semantic,
        "quantizer.acoustic.centroids": torch.zeros(5, 4, 3),
        "decoder.layers.0.weight": torch.zeros(1),
    }
    extra = {"semantic": {"usage": torch.tensor([[3.0, 2.0, 0.5, 1.0]])}}
    torch.save({"modules": {"codec": codec}, "extra": extra}, tmp_path / "state.pt")
    weights = encoder_weights(tmp_path / "state.pt", 3)
    assert weights.keys() == {"quantizer.semantic.centroids", "quantizer.acoustic.centroids"}
    assert weights["quantizer.semantic.centroids"][0, :, 0].tolist() == [6, 3, 0, 9]
    assert weights["quantizer.acoustic.centroids"].shape == (2, 4, 3)


def test_fewer_codebooks_than_are_kept_cannot_be_trained() -> None:
    with pytest.raises(ConfigError, match="trained_codebooks is 2, but the codec keeps 3"):
        dataclasses.replace(CONFIG, trained_codebooks=2)
