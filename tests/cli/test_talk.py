"""`causerie talk`: its devices, its display, and what it says where something is missing."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from causerie.cli import talk as talk_module
from causerie.cli.app import app
from causerie.cli.talk import METER, Display, meter
from causerie.errors import ConfigError
from causerie.recognition.endpoint import TranscriptionEndpoint
from causerie.talk import smart_turn
from causerie.talk.record import Record
from causerie.talk.sound_card import SoundCard
from causerie.talk.turn_detector import TurnDetector


class PortAudioError(Exception):
    pass


class Stream:
    """A stream of sounddevice, whose blocks the test makes."""

    latest: Stream

    def __init__(self, **options: Any) -> None:
        if options["device"][0] == "broken":
            raise PortAudioError("Invalid input device")
        self.options, self.is_open = options, False
        Stream.latest = self

    def start(self) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def block(self, heard: np.ndarray) -> np.ndarray:
        """What is played while this is heard."""
        out = np.full((len(heard), 1), np.nan, np.float32)
        self.options["callback"](heard[:, None], out, len(heard), None, None)
        return out[:, 0]


@pytest.fixture
def sound_module(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(
        Stream=Stream, PortAudioError=PortAudioError, query_devices=lambda: "0 A microphone"
    )
    monkeypatch.setitem(sys.modules, "sounddevice", module)


@pytest.mark.usefixtures("sound_module")
def test_a_sound_card_hears_and_plays() -> None:
    async def run() -> None:
        card = SoundCard(24_000)
        with card:
            stream = Stream.latest
            assert stream.is_open
            assert stream.options["samplerate"] == 24_000
            card.play(np.full(700, 0.5, np.float32))
            card.play(np.full(700, 0.25, np.float32))
            played = [stream.block(np.full(480, 0.1, np.float32)) for _ in range(3)]
            whole = np.concatenate(played)
            assert np.array_equal(whole[:1440], np.repeat([0.5, 0.25, 0], [700, 700, 40]))
            assert await card.played() == pytest.approx(1400 / 24_000)
            blocks = card.blocks()
            for sent in played:
                heard, back = await anext(blocks)
                assert np.array_equal(back, sent)
                assert np.allclose(heard, 0.1)
            card.play(np.full(2400, 0.5, np.float32))
            stream.block(np.zeros(480, np.float32))
            assert card.stop() == pytest.approx(480 / 24_000)
            assert not stream.block(np.zeros(480, np.float32)).any()
        assert not stream.is_open

    asyncio.run(run())


@pytest.mark.usefixtures("sound_module")
def test_what_was_played_counts_across_silence_within_an_answer() -> None:
    """As where a language model takes its time for the next sentence."""

    async def run() -> None:
        card, stream = SoundCard(24_000), Stream.latest
        for _ in range(2):
            card.play(np.full(480, 0.5, np.float32))
            for _ in range(3):
                stream.block(np.zeros(480, np.float32))
                await asyncio.sleep(0)  # the card tells that it is silent
        card.play(np.full(960, 0.5, np.float32))
        stream.block(np.zeros(480, np.float32))
        assert card.stop() == pytest.approx(3 * 480 / 24_000)
        card.play(np.full(480, 0.5, np.float32))  # another answer
        waiting = asyncio.ensure_future(card.played())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        stream.block(np.zeros(480, np.float32))
        assert await waiting == pytest.approx(480 / 24_000)

    asyncio.run(run())


@pytest.mark.usefixtures("sound_module")
def test_a_device_that_cannot_be_opened() -> None:
    async def run() -> None:
        SoundCard(24_000, "broken")

    with pytest.raises(ConfigError, match=r"Invalid input device.*talk --devices"):
        asyncio.run(run())


@pytest.mark.usefixtures("sound_module")
def test_devices_are_listed() -> None:
    result = CliRunner().invoke(app, ["talk", "--devices"])
    assert result.output == "0 A microphone\n"


def test_without_sounddevice(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    result = CliRunner().invoke(app, ["talk", "--devices"])
    assert result.exit_code == 2
    assert 'pip install "causerie[talk]"' in result.output + capsys.readouterr().err


def test_an_endpoint_needs_a_model(capsys: Any) -> None:
    result = CliRunner().invoke(app, ["talk", "--llm", "http://127.0.0.1:11434"])
    assert result.exit_code == 2
    assert "--llm and --llm-model belong together" in result.output + capsys.readouterr().err


def test_a_recognizer_in_another_program_needs_a_model(capsys: Any) -> None:
    result = CliRunner().invoke(app, ["talk", "--recognizer", "http://127.0.0.1:8001"])
    assert result.exit_code == 2
    assert "URL and its model belong together" in result.output + capsys.readouterr().err


def test_a_recognizers_key_needs_its_url(capsys: Any) -> None:
    result = CliRunner().invoke(app, ["talk", "--recognizer-key", "sk-1"])
    assert result.exit_code == 2
    assert "a recognizer's key needs its URL" in result.output + capsys.readouterr().err


@pytest.mark.usefixtures("sound_module")
@pytest.mark.parametrize(
    ("options", "has_model", "silence_ms", "padding_ms"),
    [([], False, 500, 300), ([], True, 1000, 300), (["--push-to-talk"], True, 500, 0)],
)
def test_what_ends_a_turn(
    monkeypatch: pytest.MonkeyPatch,
    tiny_folder: Path,
    options: list[str],
    has_model: bool,
    silence_ms: int,
    padding_ms: int,
) -> None:
    """Silence, or a model if there is one, or a button."""
    found: list[Any] = []

    async def talk(*arguments: Any) -> None:
        found.extend(arguments)

    model = (lambda speech: 1.0) if has_model else None
    monkeypatch.setattr(talk_module, "_talk", talk)
    monkeypatch.setattr(smart_turn, "find_smart_turn", lambda file: model)
    endpoint = ["--recognizer", "http://127.0.0.1:9", "--recognizer-model", "m"]
    result = CliRunner().invoke(app, ["talk", "--model", str(tiny_folder), *endpoint, *options])
    assert result.exit_code == 0, result.output
    assert isinstance(found[0].recognizer, TranscriptionEndpoint)
    (detector,) = [one for one in found if isinstance(one, TurnDetector)]
    settings = detector.settings
    assert (settings.silence_ms, settings.padding_ms) == (silence_ms, padding_ms)
    assert settings.is_complete is (None if options else model)


@pytest.mark.parametrize(
    ("peak", "num"), [(0.0, 0), (0.003, 0), (0.0562, METER // 2), (1.0, METER)]
)
def test_the_meter_shows_the_level(peak: float, num: int) -> None:
    bar = meter(peak)
    assert len(bar) == METER
    assert bar.count("█") == num


def test_the_display_prints_and_records(tmp_path: Path, capsys: Any) -> None:
    record = Record(tmp_path / "talk.wav", 24_000)
    display = Display(record)
    display.on_block(np.zeros(480, np.float32), np.zeros(480, np.float32))
    display.on_speech()
    display.on_partial("Is it")
    display.on_user("Is it far?")
    display.on_first_sound(0.41)
    display.on_reply("Ten", is_interrupted=True)
    display.on_error("no answer")
    record.close()
    lines = capsys.readouterr().out.replace("\r", "").splitlines()
    assert lines == ["you: Is it far?", "reply: Ten —", "error: no answer"]
    assert (tmp_path / "talk.txt").read_text(encoding="utf-8").count("\n") == 3


def test_the_display_shows_a_level_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(talk_module.sys.stdout, "isatty", lambda: True)
    display = Display()
    display.on_first_sound(0.41)
    display.on_block(np.ones(480, np.float32), np.zeros(480, np.float32))
    out = capsys.readouterr().out
    assert "█" * METER in out
    assert "you stopped → first sound 0.41 s" in out
