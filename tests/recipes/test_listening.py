"""Phrases without punctuation, and the samples for people's ears."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from causerie.audio.audio import Audio
from causerie.tts import TTS


def run(name: str, patch: pytest.MonkeyPatch, *arguments: str) -> None:
    module = importlib.import_module(name)
    patch.setattr(sys, "argv", [f"{name}.py", *arguments])
    module.main()


def test_bare_phrases_have_no_punctuation_at_the_end(recipe: Path) -> None:
    assert recipe
    module = importlib.import_module("bare_phrases")
    phrases = module.PHRASES.read_text("utf-8").splitlines()
    assert len(set(phrases)) == 60
    assert all(phrase[-1].isalpha() for phrase in phrases)
    checkpoint = TTS.from_pretrained("petit").checkpoint
    bare = module.Bare(checkpoint.front_end)
    whole = checkpoint.front_end("No, done.").text
    assert whole.endswith(".")
    assert bare("No, done").text == whole[:-1]
    assert bare("No, done.").text == whole


def test_longer_clips_are_counted(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recipe
    spoken = TTS.generate

    def generate(tts: TTS, text: str, **options: object) -> Audio:
        # A model that invents a sentence after "Done", in one voice.
        more = " I went home." if text == "Done" and options["voice"] == "theo" else ""
        return spoken(tts, f"{text}.{more}" if text[-1] != "." else text, **options)

    monkeypatch.setattr(TTS, "generate", generate)
    run("bare_phrases", monkeypatch, "--count", "2")
    out = capsys.readouterr().out
    voices = len(TTS.from_pretrained("petit").voices)
    assert f"1 of {2 * voices} clips" in out
    assert out.startswith("'Done' by theo: ")


def test_each_voice_of_the_model_speaks(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert recipe
    run("listening_samples", monkeypatch, "petit", str(tmp_path / "samples"))
    files = sorted((tmp_path / "samples").iterdir())
    voices = {file.stem.split("-")[1] for file in files}
    assert voices == {*TTS.from_pretrained("petit").voices}
    assert all(Audio.load(file).duration_s > 1 for file in files)
