"""Prompts as voices: csm-1b's recordings, from a simulated hub and from folders."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from causerie import TTS, Segment
from causerie.checkpoint import load, save, save_transformers
from causerie.cli import app
from causerie.errors import AudioError
from causerie.published_voices import PROMPT_TEXTS
from causerie.voices import find_voice, load_voice
from tests import tiny

NAMES = [
    "conversational_a", "conversational_b",
    "read_speech_a", "read_speech_b", "read_speech_c", "read_speech_d",
]  # fmt: skip
NOTE = "voice: conversational_a, the model's first, as none was given"
#: Settings that make replies short and comparable.
SHORT = {"seed": 1, "max_duration_s": 0.4}


def add_prompts(folder: Path, names: list[str] = NAMES) -> None:
    (folder / "prompts").mkdir(parents=True)
    for seed, name in enumerate(names):
        samples = np.random.default_rng(seed).normal(0, 0.1, 44_100)
        soundfile.write(folder / "prompts" / f"{name}.wav", samples, 22_050)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository as sesame/csm-1b, with a tiny model in the layout of transformers."""
    folder = tmp_path_factory.mktemp("csm-1b")
    checkpoint = tiny.checkpoint(max_frames=1024)
    save_transformers(folder, checkpoint)
    checkpoint.tokenizer.save(folder / "tokenizer.json")
    add_prompts(folder)
    (folder / "prompts" / "notes.md").write_text("")
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[dict[str, Path]], Path]:
    """Replaces the hub by folders; returns the cache, where what was fetched is."""

    def build(repositories: dict[str, Path]) -> Path:
        def download(repo: str, *, revision: str | None, allow_patterns: list[str]) -> str:
            source, target = repositories[repo], tmp_path / "cache" / repo / "0123abc"
            for path in filter(Path.is_file, source.rglob("*")):
                name = path.relative_to(source)
                if any(name.match(pattern) for pattern in allow_patterns):
                    (target / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, target / name)
            return str(target)

        monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
        return tmp_path / "cache"

    return build


def fetched(cache: Path) -> set[str]:
    return {path.name for path in cache.rglob("*") if path.is_file()}


def test_prompts_are_fetched_with_the_model(
    hub: Callable[[dict[str, Path]], Path], repository: Path
) -> None:
    cache = hub({"sesame/csm-1b": repository})
    tts = TTS.from_pretrained("sesame/csm-1b", device="cpu")
    assert {f"{name}.wav" for name in NAMES} <= fetched(cache)
    assert "notes.md" not in fetched(cache)
    assert tts.voices == NAMES
    spoken = tts.generate("Hello.", **SHORT)
    assert NOTE in spoken.notes
    named = tts.generate("Hello.", voice="conversational_a", **SHORT)
    assert not any("voice" in note for note in named.notes)
    assert np.array_equal(spoken.samples, named.samples)
    for other in (0, "read_speech_d"):
        assert not np.array_equal(
            spoken.samples, tts.generate("Hello.", voice=other, **SHORT).samples
        )


def test_the_words_are_those_that_sesame_published(repository: Path) -> None:
    voices = load(repository).voices
    for name in NAMES:
        voice = find_voice(name, voices)
        assert (voice.name, voice.speaker, len(voice.segments)) == (name, 0, 1)
        assert voice.segments[0].text == PROMPT_TEXTS[name]
    assert PROMPT_TEXTS["conversational_a"].endswith("with this not like a panic but like a")
    assert PROMPT_TEXTS["read_speech_c"] == (
        "All passed so quickly, there was so much going on around him, the Tree quite forgot to "
        "look to himself."
    )


def test_a_context_of_the_same_speaker_has_its_own_voice(repository: Path) -> None:
    tts = TTS.from_pretrained(repository, device="cpu")
    sound = np.random.default_rng(9).normal(0, 0.1, 24_000).astype(np.float32)
    for speaker, has_note in ((0, False), (1, True)):
        turn = Segment(speaker=speaker, text="Before.", audio=sound, sample_rate=24_000)
        notes = tts.generate("Hello.", context=iter([turn]), **SHORT).notes  # type: ignore[arg-type]
        assert notes == tts.generate("Hello.", context=[turn], **SHORT).notes
        assert (NOTE in notes) == has_note


def test_a_folder_without_prompts_has_no_default(tmp_path: Path) -> None:
    save(tmp_path, tiny.checkpoint())
    tts = TTS.from_pretrained(tmp_path, device="cpu")
    assert (tts.voices, tts.checkpoint.default_voice) == ([], "")
    spoken, zero = (tts.generate("Hello.", voice=voice, **SHORT) for voice in (None, 0))
    assert spoken.notes == zero.notes
    assert np.array_equal(spoken.samples, zero.samples)


def test_words_beside_a_recording_come_first(tmp_path: Path) -> None:
    save(tmp_path, tiny.checkpoint())
    add_prompts(tmp_path, ["conversational_b", "marvin", "unknown"])
    (tmp_path / "prompts" / "marvin.txt").write_text("Life?\n Don't talk to me about life.\n")
    (tmp_path / "prompts" / "conversational_b.txt").write_text("Other words.")
    tts = TTS.from_pretrained(tmp_path, device="cpu")
    assert tts.voices == ["conversational_b", "marvin"]
    texts = [find_voice(name, tts.checkpoint.voices).segments[0].text for name in tts.voices]
    assert texts == ["Other words.", "Life? Don't talk to me about life."]
    (tmp_path / "prompts" / "marvin.wav").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(AudioError, match=r"segment 1 of voice marvin .*cannot be read as sound"):
        tts.generate("Hello.", voice="marvin")
    listed = CliRunner().invoke(app, ["voices", "--model", str(tmp_path)])
    assert listed.exit_code == 2
    assert "marvin.wav cannot be read: " in listed.stderr
    assert listed.stderr.count("\n") == 1


def test_an_adapter_keeps_the_voice_of_its_weights(repository: Path, tmp_path: Path) -> None:
    checkpoint = load(repository)
    assert checkpoint.default_voice == "conversational_a"
    merged = dataclasses.replace(checkpoint, base="sesame/csm-1b")
    assert merged.default_voice == ""
    save(tmp_path / "merged", merged)
    assert load(tmp_path / "merged").voices == {}
    save(tmp_path / "copy", checkpoint)
    copied = load(tmp_path / "copy")
    assert (list(copied.voices), copied.default_voice) == (NAMES, "conversational_a")
    assert load_voice(NAMES[1], copied.voices[NAMES[1]]).segments[0].text == PROMPT_TEXTS[NAMES[1]]


def test_listing_the_voices_fetches_no_weights(
    hub: Callable[[dict[str, Path]], Path], repository: Path, tmp_path: Path
) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    facts = {"peft_type": "LORA", "base_model_name_or_path": "sesame/csm-1b"}
    (adapter / "adapter_config.json").write_text(json.dumps(facts))
    (adapter / "adapter_model.safetensors").write_text("")
    cache = hub({"sesame/csm-1b": repository, "anna/lora": adapter})
    for model in ("sesame/csm-1b", "anna/lora"):
        done = CliRunner().invoke(app, ["voices", "--model", model])
        assert done.exit_code == 0, done.stderr
        lines = done.stdout.splitlines()
        assert [line.split()[0] for line in lines] == NAMES
        assert lines[0].startswith("conversational_a speaker 0    2.0 s  like revising for an exam")
        assert lines[0].endswith("…  Woman, conversation; the default")
    assert not any(name.endswith((".safetensors", ".pt")) for name in fetched(cache))
    done = CliRunner().invoke(app, ["voices", "--model", "sesame/csm-1b", "--json"])
    facts = json.loads(done.stdout.splitlines()[4])
    assert facts == {
        "name": "read_speech_c", "speaker": 0, "seconds": 2.0,
        "text": PROMPT_TEXTS["read_speech_c"], "description": "Reading",
    }  # fmt: skip
