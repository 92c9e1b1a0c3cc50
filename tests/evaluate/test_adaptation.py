"""Whether answers follow the pitch, pace and loudness of a question, on sounds that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from causerie.audio.audio import Audio
from causerie.evaluate import adaptation
from causerie.evaluate.adaptation import MANNERS, PAIRS
from causerie.evaluate.clip import Clip
from causerie.evaluate.prosody import prosody
from causerie.evaluate.speaking import Speaking
from causerie.tts import TTS
from causerie.voices import Voice
from tests import tiny
from tests.evaluate.sounds import RATE, audio, silence

TEXT = "Good morning."


def voiced(seconds: float, hertz: float, level: float = 0.05) -> np.ndarray:
    """A buzz with ten harmonics."""
    times = np.arange(round(seconds * RATE)) / RATE
    waves = [np.sin(2 * np.pi * n * hertz * times) / n for n in range(1, 11)]
    return (level * np.sum(waves, axis=0)).astype(np.float32)


def test_prosody_of_a_known_sound() -> None:
    low = prosody(audio(silence(0.5), voiced(1, 150), silence(0.3)), TEXT)
    high = prosody(audio(voiced(0.5, 300, 0.1)), TEXT)
    assert low is not None
    assert high is not None
    assert high.pitch - low.pitch == pytest.approx(12, abs=0.2)
    assert low.range == pytest.approx(0, abs=0.2)
    assert high.pace - low.pace == pytest.approx(np.log(2), abs=0.1)
    assert high.loudness - low.loudness == pytest.approx(6, abs=0.2)
    glide = prosody(audio(voiced(1, 150), voiced(1, 300)), TEXT)
    assert glide is not None
    assert glide.range == pytest.approx(12, abs=0.2)


@pytest.mark.parametrize("sound", [audio(), audio(silence(1))], ids=["nothing", "silence"])
def test_silence_has_no_prosody(sound: Audio) -> None:
    assert prosody(sound, TEXT) is None


@pytest.mark.parametrize(
    ("name", "up", "down"),
    [("pitch", 3, -3), ("pace", np.log(1.25), np.log(0.8)), ("loudness", 3, -6)],
)
def test_a_manner_changes_one_property(name: str, up: float, down: float) -> None:
    asked = audio(voiced(2, 200))
    change, *amounts = MANNERS[name]
    usual = prosody(asked, TEXT)
    assert usual is not None
    for amount, expected in zip(amounts, (up, down), strict=True):
        found = prosody(change(asked, amount), TEXT)
        assert found is not None
        for other in ("pitch", "pace", "loudness"):
            difference = getattr(found, other) - getattr(usual, other)
            tolerance = {"pitch": 0.2, "pace": 0.06, "loudness": 0.7}[other]
            assert difference == pytest.approx(expected if other == name else 0, abs=tolerance)


@pytest.fixture(autouse=True)
def codes_are_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptation, "encoded", lambda tts, audio: torch.from_numpy(audio.samples))


class Actor(Speaking):
    """Answers with the sound that it heard, in part."""

    def __init__(self, *, listens: bool) -> None:
        super().__init__(TTS(tiny.checkpoint()))
        self.listens = listens
        self.heard: list[tuple[int, str]] = []

    def speak(self, text: str, voice: Voice, *, context=(), tts=None) -> Clip:  # type: ignore[no-untyped-def]
        samples = voiced(2, 180 if text in dict(PAIRS) else 120)
        self.heard += [(segment.speaker, segment.text) for segment in context]
        if context and self.listens:
            samples = context[0].codes.numpy()
        return Clip(text=text, audio=audio(samples), voice=voice.name)


def test_an_actor_who_listens_follows() -> None:
    actor = Actor(listens=True)
    found, clips = adaptation.measure(actor, PAIRS[:2])
    for name in MANNERS:
        assert found.numbers[f"adapts_{name}"] == pytest.approx(1, abs=0.02)
        assert found.numbers[f"adapts_{name}_error"] == pytest.approx(0, abs=0.02)
    assert found.numbers["heard_pitch"] == pytest.approx(12 * np.log2(180 / 120), abs=0.2)
    assert found.numbers["drift_pitch"] == pytest.approx(1, abs=0.02)
    assert found.numbers["heard_pace"] == pytest.approx(0, abs=0.02)
    assert [clip.text for clip in clips] == [text for _, text in PAIRS[:2] for _ in range(8)]
    # the questions have another speaker number than the answers
    assert actor.heard == [(1, question) for question, _ in PAIRS[:2] for _ in range(7)]


def test_an_actor_who_is_deaf_does_not() -> None:
    found, _ = adaptation.measure(Actor(listens=False), PAIRS[:1])
    values = {name: value for name, value in found.numbers.items() if name != "heard_range"}
    assert set(values.values()) == {0.0}
    assert not any(name.endswith("_error") for name in values)  # of one pair


def test_silent_answers_have_no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptation, "prosody", lambda *_: None)
    found, clips = adaptation.measure(Actor(listens=True), PAIRS[:1])
    assert found.numbers == {}
    assert len(clips) == 8
