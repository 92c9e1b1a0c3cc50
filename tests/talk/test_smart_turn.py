"""smart-turn sees the features of Whisper. tests/clients/test_smart_turn.py has its weights."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from causerie.errors import ConfigError
from causerie.talk.activity import RATE
from causerie.talk.smart_turn import SEEN_S, SmartTurn, find_smart_turn

#: Ours are computed in fp32, those of the others in fp64; they are about -1 to 1.
TOLERANCE = 1e-5


def speech(seconds: float) -> np.ndarray:
    """Noise whose level rises and falls, as that of speech does."""
    noise = np.random.default_rng(0).standard_normal(round(seconds * RATE))
    level = 0.05 * np.abs(np.sin(np.arange(len(noise)) * 7 / RATE)) ** 3
    return (level * noise).astype(np.float32)


def features(samples: np.ndarray) -> np.ndarray:
    """Our features, without weights."""
    from faster_whisper.feature_extractor import FeatureExtractor

    model = SmartTurn.__new__(SmartTurn)
    model._extract = FeatureExtractor(chunk_length=SEEN_S)
    return model.features(samples)


def in_pipecats_length(samples: np.ndarray) -> np.ndarray:
    """The latest 8 s, with zeros before them, as pipecat's analyzer makes them."""
    samples = samples[-8 * RATE :]
    return np.pad(samples, (8 * RATE - len(samples), 0))


@pytest.mark.parametrize("seconds", [0.3, 3.7, 8.0, 11.0])
def test_features_are_those_of_whisper(seconds: float) -> None:
    transformers = pytest.importorskip("transformers")
    extractor = transformers.WhisperFeatureExtractor(chunk_length=8)
    theirs = extractor(
        in_pipecats_length(speech(seconds)),
        sampling_rate=RATE,
        padding="max_length",
        max_length=8 * RATE,
        truncation=True,
        do_normalize=True,
        return_tensors="np",
    ).input_features[0]
    ours = features(speech(seconds))
    assert ours.shape == theirs.shape == (80, 800)
    assert ours.dtype == np.float32
    assert np.abs(ours - theirs).max() < TOLERANCE


def test_nothing_is_found_without_pipecat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert find_smart_turn() is None


def test_weights_are_found_without_importing_pipecat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pipecat" / "audio" / "turn" / "smart_turn" / "data"
    folder.mkdir(parents=True)
    (tmp_path / "pipecat" / "__init__.py").write_text("raise AssertionError")
    (folder / "smart-turn-v3.2-cpu.onnx").write_bytes(b"no model")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pipecat", raising=False)
    with pytest.raises(ConfigError, match=r"smart-turn-v3\.2-cpu\.onnx is no model"):
        find_smart_turn()


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.onnx is no model"):
        find_smart_turn(str(tmp_path / "none.onnx"))
