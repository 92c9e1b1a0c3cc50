"""Voices: saved, loaded, found by name."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from causerie.errors import CheckpointError, ConfigError, UnknownVoiceError
from causerie.prompt import Segment
from causerie.tts import TTS
from causerie.voice_file import read_header
from causerie.voices import Voice, find_voice
from tests import tiny


def voice() -> Voice:
    codes = torch.arange(15).reshape(5, 3)
    segments = (
        Segment(speaker=2, text="Grüß Gott!", codes=codes),
        Segment(speaker=1, text="Hello.", codes=codes + 1),
    )
    return Voice(name="ada", speaker=2, segments=segments)


def test_a_saved_voice_is_the_same(tmp_path: Path) -> None:
    saved = voice()
    loaded = Voice.load(saved.save(tmp_path / "ada.safetensors"))
    assert (loaded.name, loaded.speaker) == ("ada", 2)
    for ours, theirs in zip(saved.segments, loaded.segments, strict=True):
        assert (ours.speaker, ours.text) == (theirs.speaker, theirs.text)
        assert ours.codes is not None
        assert theirs.codes is not None
        assert torch.equal(ours.codes, theirs.codes)
        assert theirs.codes.dtype == torch.long


def test_a_voice_keeps_its_terms(tmp_path: Path) -> None:
    saved = replace(voice(), licence="CC0-1.0").with_consent("Ada, by letter")
    loaded = Voice.load(saved.save(tmp_path / "ada.safetensors"))
    assert (loaded.licence, loaded.consent) == ("CC0-1.0", "Ada, by letter")
    assert loaded.consent_date == saved.consent_date
    datetime.strptime(loaded.consent_date, "%Y-%m-%d")
    assert voice().with_consent("").consent_date == ""


def test_a_file_without_the_date_of_its_consent_is_read(tmp_path: Path) -> None:
    """As versions before the date wrote it."""
    old = replace(voice(), consent="Ada, by letter", licence="CC0-1.0")
    header = read_header(old.save(tmp_path / "ada.safetensors"))
    assert header.terms == {"licence": "CC0-1.0", "consent": "Ada, by letter"}
    assert Voice.load(tmp_path / "ada.safetensors").consent_date == ""


def test_what_is_kept_beside_a_voice_does_not_change_it(tmp_path: Path) -> None:
    contents = voice().to_bytes(tensors={"sound": torch.zeros(9)}, metadata={"from": "a test"})
    (tmp_path / "ada.safetensors").write_bytes(contents)
    with safe_open(tmp_path / "ada.safetensors", framework="pt") as file:
        assert file.metadata()["from"] == "a test"
        assert file.get_tensor("sound").shape == (9,)
    for loaded in (Voice.load(tmp_path / "ada.safetensors"), Voice.from_bytes(contents)):
        assert loaded.name == voice().name
        assert [segment.text for segment in loaded.segments] == ["Grüß Gott!", "Hello."]
        for segment, before in zip(loaded.segments, voice().segments, strict=True):
            assert torch.equal(segment.codes, before.codes)


def test_finding(tmp_path: Path) -> None:
    path = voice().save(tmp_path / "ada.safetensors")
    voices = {"ada": path}
    assert find_voice("ada", voices).name == "ada"
    assert find_voice(path, {}).name == "ada"
    assert find_voice(str(path), {}).name == "ada"
    assert find_voice(3, {}).speaker == 3
    assert find_voice("3", {}).speaker == 3
    assert find_voice(None, {}).speaker == 0
    given = voice()
    assert find_voice(given, {}) is given


def test_unknown_names_get_a_hint() -> None:
    voices = {"ada": Path("a"), "adam": Path("b"), "zoe": Path("c")}
    with pytest.raises(UnknownVoiceError, match="did you mean ada or adam"):
        find_voice("adan", voices)
    with pytest.raises(UnknownVoiceError, match="there are ada, adam, zoe"):
        find_voice("qqqq", voices)
    with pytest.raises(UnknownVoiceError, match=r"no named voices\. A speaker number, such as 0"):
        find_voice("ada", {})
    with pytest.raises(ConfigError, match="whole number"):
        find_voice(-1, {})


def test_a_voice_without_codes_is_not_saved(tmp_path: Path) -> None:
    unsaid = Voice(name="x", segments=(Segment(speaker=0, text="a", audio="a.wav"),))
    with pytest.raises(CheckpointError, match="make_voice"):
        unsaid.save(tmp_path / "x.safetensors")


def test_an_unwritable_path(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot write voice"):
        voice().save(tmp_path / "no/such/ada.safetensors")


@pytest.mark.parametrize(
    "facts",
    [
        "no json",
        json.dumps({"name": "x"}),
        json.dumps({"name": "x", "speaker": -1, "segments": []}),
        json.dumps({"name": "x", "speaker": 0, "segments": [{"speaker": 0, "text": "a"}]}),
        json.dumps({"name": "x", "speaker": 0, "segments": [], "surplus": 1}),
        json.dumps([]),
    ],
)
def test_damaged_files(tmp_path: Path, facts: str) -> None:
    path = tmp_path / "x.safetensors"
    metadata = {"format": "causerie voice", "version": "1", "voice": facts}
    save_file({"some": torch.zeros(1)}, path, metadata)
    with pytest.raises(CheckpointError, match="damaged"):
        Voice.load(path)


def test_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"some": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="not a voice file"):
        Voice.load(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="damaged"):
        Voice.load(path)
    with pytest.raises(CheckpointError, match="does not exist"):
        Voice.load(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="is a folder, not a voice file"):
        Voice.load(tmp_path)


def test_a_made_voice_speaks_like_its_context(tmp_path: Path) -> None:
    tts = TTS(tiny.checkpoint())
    noise = np.random.default_rng(0).normal(0, 0.1, 6_000).astype(np.float32)
    turn = Segment(speaker=1, text="Before.", audio=noise, sample_rate=24_000)
    made = tts.make_voice("ada", [turn], speaker=1)
    path = made.save(tmp_path / "ada.safetensors")
    by_voice = tts.generate("Now.", voice=path, seed=1, max_duration_s=0.3)
    by_context = tts.generate("Now.", voice=1, context=[turn], seed=1, max_duration_s=0.3)
    plain = tts.generate("Now.", voice=1, seed=1, max_duration_s=0.3)
    assert np.array_equal(by_voice.samples, by_context.samples)
    assert not np.array_equal(by_voice.samples, plain.samples)
