"""Loudspeakers, without one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from causerie.audio import play
from causerie.audio.audio import Audio
from causerie.errors import AudioError

SILENCE = Audio(samples=np.zeros(240, np.float32), sample_rate=24_000)


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)  # import raises ImportError


class FakeStream:
    def __init__(self, **settings: Any) -> None:
        self.settings, self.calls = settings, []

    def write(self, data: np.ndarray) -> None:
        self.calls.append(data.shape)

    def __getattr__(self, name: str) -> Any:
        return lambda: self.calls.append(name)


def fake_package(has_output: bool) -> Any:
    package = ModuleType("sounddevice")
    package.PortAudioError = type("PortAudioError", (Exception,), {})
    package.played = []

    def query_devices(kind: str) -> None:
        if not has_output:
            raise package.PortAudioError("no device")

    package.query_devices = query_devices
    package.play = lambda samples, rate, blocking: package.played.append((len(samples), rate))
    package.OutputStream = FakeStream
    return package


def install_program(
    folder: Path, name: str, code: int, monkeypatch: pytest.MonkeyPatch, said: str = "no card"
) -> None:
    path = folder / name
    path.write_text(f'#!/bin/sh\necho "$@" > {folder}/called\necho "{said}" >&2\nexit {code}\n')
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))  # without the players of this machine


@pytest.mark.usefixtures("no_package")
def test_nothing_to_play_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AudioError, match=r"no sound device.*pip install sounddevice"):
        SILENCE.play()


@pytest.mark.usefixtures("no_package")
def test_a_program_plays_a_wav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_program(tmp_path, "aplay", 0, monkeypatch)
    SILENCE.play()
    assert (tmp_path / "called").read_text().endswith("speech.wav\n")


@pytest.mark.usefixtures("no_package")
def test_a_program_that_fails_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_program(tmp_path, "aplay", 1, monkeypatch)
    with pytest.raises(AudioError, match="aplay could not play: no card; save it"):
        SILENCE.play()


@pytest.mark.usefixtures("no_package")
def test_a_player_that_exits_with_0_without_a_device_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/bin")
    monkeypatch.setattr(play, "PROGRAMS", {"ffplay": play.PROGRAMS["ffplay"]})
    said = "No more combinations to try, audio open failed"
    install_program(tmp_path, "ffplay", 0, monkeypatch, said)
    with pytest.raises(AudioError, match=r"ffplay could not play: .*audio open failed; save it"):
        SILENCE.play()
    install_program(tmp_path, "ffplay", 0, monkeypatch, "ALSA lib pcm.c: underrun occurred")
    SILENCE.play()


@pytest.mark.usefixtures("no_package")
def test_the_next_player_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_program(tmp_path, "aplay", 1, monkeypatch)
    install_program(tmp_path, "paplay", 0, monkeypatch)
    SILENCE.play()
    assert (tmp_path / "called").read_text().endswith("speech.wav\n")


def test_the_package_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    package = fake_package(has_output=True)
    monkeypatch.setitem(sys.modules, "sounddevice", package)
    SILENCE.play()
    assert package.played == [(240, 24_000)]


def test_the_package_without_a_device_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", fake_package(has_output=False))
    assert play.sound_device() is None


def test_a_loudspeaker_plays_pieces_and_waits() -> None:
    with play.Loudspeaker(fake_package(True), 24_000) as speaker:
        speaker.write(np.zeros(10, np.float32))
    assert speaker._stream.settings == {"samplerate": 24_000, "channels": 1, "dtype": "float32"}
    assert speaker._stream.calls == ["start", (10, 1), "stop", "close"]


def test_a_loudspeaker_stops_on_an_error() -> None:
    with pytest.raises(RuntimeError, match="stop it"), play.Loudspeaker(fake_package(True), 1) as s:
        raise RuntimeError("stop it")
    assert s._stream.calls == ["start", "abort", "close"]


def failing_at(method: str) -> Any:
    """A package whose device fails there, once it is asked."""
    package = fake_package(has_output=True)

    def fail(*_: Any, **__: Any) -> None:
        raise package.PortAudioError("device unplugged")

    if method == "open":
        package.OutputStream = fail
    else:
        package.OutputStream = type("Failing", (FakeStream,), {method: fail})
    package.play = fail
    return package


def test_a_device_that_fails_is_an_audio_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", failing_at("open"))
    with pytest.raises(AudioError, match="sound device could not play: device unplugged; save it"):
        SILENCE.play()


@pytest.mark.parametrize("method", ["open", "start", "write", "stop", "close"])
def test_a_loudspeaker_that_fails_is_silent_and_records_the_failure(method: str) -> None:
    with play.Loudspeaker(failing_at(method), 24_000) as speaker:
        for _ in range(3):
            speaker.write(np.zeros(10, np.float32))
    assert "device unplugged" in str(speaker.failure)


def test_import_of_audio_plays_nothing() -> None:
    code = "import sys, causerie.audio.audio; assert 'sounddevice' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
