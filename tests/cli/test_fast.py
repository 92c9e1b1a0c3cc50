"""`--fast` of the commands that speak."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from causerie.cli import app
from causerie.errors import ConfigError
from causerie.native import library
from causerie.talk import sound_card
from causerie.tts import TTS


@pytest.mark.parametrize(
    "arguments",
    [
        ["say", "Hello", "-o", "a.wav"],
        ["narrate", "a.txt", "-o", "a.wav"],
        ["talk", "--push-to-talk"],
    ],
    ids=lambda arguments: arguments[0],
)
@pytest.mark.parametrize("fast", [True, False])
def test_a_model_is_loaded_as_fast_says(
    arguments: list[str], fast: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def load(*_: Any, **options: Any) -> None:
        raise ConfigError(f"fast is {options['fast']}")

    monkeypatch.setattr(TTS, "from_pretrained", load)
    monkeypatch.setattr(sound_card, "sounddevice", lambda: None)
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("Hello.")
    done = CliRunner().invoke(app, [*arguments, *(["--fast"] if fast else [])])
    assert done.exit_code == 2
    assert f"causerie: fast is {fast}" in done.stderr


@pytest.mark.parametrize("fast", [True, False])
def test_without_native_kernels_a_line_says_that_fast_changes_nothing(
    fast: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(library, "problem", lambda: "they were not built")
    path = tmp_path / "a.wav"
    done = CliRunner().invoke(app, ["say", "Yes.", "-o", str(path), *(["--fast"] if fast else [])])
    assert done.exit_code == 0
    assert path.is_file()
    line = "--fast changes nothing without native kernels: they were not built"
    assert done.stderr.splitlines().count(line) == fast
