"""Two processes train the codec that one trains."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from codec_training.encoder import new_codec, train_encoder

from causerie.errors import ConfigError
from tests.recipes.codec_training.test_codec import ENCODER, TINY
from tests.recipes.speech import write_speech_folder
from tests.train.launch import finish, start
from tests.train.lm.test_training import assert_same


def test_two_processes_train_one_codec(tmp_path: Path) -> None:
    speech, out = write_speech_folder(tmp_path / "speech"), tmp_path / "out"
    workers = start("tests.recipes.codec_training.team_worker", speech, out)
    alone = train_encoder(TINY, dataclasses.replace(ENCODER, batch=4), speech, tmp_path / "alone")
    finish(workers)
    together = torch.load(out / "encoder/state.pt", weights_only=True)["modules"]["codec"]
    start_of = new_codec(TINY, ENCODER.seed, None).state_dict()
    moved, apart = [0.0, 0.0], [0.0, 0.0]  # of weights, of codebooks
    for name, tensor in alone.state_dict().items():
        moved["centroids" in name] += (tensor - start_of[name]).square().sum().item()
        apart["centroids" in name] += (tensor - together[name]).square().sum().item()
    # Adam makes a step of the last digit of a small gradient, and k-means a code
    assert apart[0] < 0.02 * moved[0]
    assert apart[1] < 0.02 * moved[1]
    whole = torch.load(out / "codec/state.pt", weights_only=True)["modules"]["codec"]
    assert_same(whole, torch.load(out / "second.pt", weights_only=True))


def test_a_batch_must_divide_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    three = SimpleNamespace(process_index=0, num_processes=3)
    monkeypatch.setattr("codec_training.windows.find_processes", lambda device: three)
    with pytest.raises(ConfigError, match="a batch of 2 windows cannot be divided evenly among 3"):
        train_encoder(TINY, ENCODER, write_speech_folder(tmp_path / "speech"), tmp_path)
