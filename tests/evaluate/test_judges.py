"""Similarity and DNSMOS by fake networks, and the errors if these are missing."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.errors import AudioError, ConfigError
from causerie.evaluate import dnsmos, quality, similarity
from causerie.evaluate.dnsmos import Dnsmos
from causerie.evaluate.speaker import Resemblyzer
from causerie.evaluate.tools import Tools
from causerie.extras import need
from tests.evaluate.sounds import audio, clip, silence, tone


def by_pitch(sound: Audio) -> NDArray[np.float32] | None:
    """A "speaker" for each pitch: a sound's share of power at 100, 200 and 300 Hz."""
    power = np.abs(np.fft.rfft(sound.samples[:24_000])) ** 2
    vector = power[[100, 200, 300]]
    return None if vector.sum() < 1 else (vector / np.linalg.norm(vector)).astype(np.float32)


TOOLS = Tools(encoder=by_pitch)


def speech(hertz: float) -> Audio:
    return audio(tone(1, hertz=hertz))


def test_similarity_to_the_audio_of_a_voice() -> None:
    low, high = (speech(100),), (speech(200), speech(300))
    clips = [
        clip(speech(100), voice="low", like=low),
        clip(speech(200), voice="low", like=low),
        clip(speech(300), voice="high", like=high),
        clip(speech(300), voice="free"),
    ]
    found = similarity.measure(clips, TOOLS)
    half = 0.5**0.5  # between one pitch and the mean of two
    rows = [1, 0, half]
    assert [row["similarity"] for row in found.rows[:3]] == pytest.approx(rows, abs=1e-3)
    assert found.rows[3] == {}
    assert found.numbers["similarity"] == pytest.approx(sum(rows) / 3, abs=1e-3)
    assert found.numbers["similarity_min"] == pytest.approx(0, abs=1e-3)
    assert found.numbers["similarity/low"] == pytest.approx(0.5, abs=1e-3)
    assert found.numbers["similarity/high"] == pytest.approx(half, abs=1e-3)
    assert found.numbers["similarity_within"] == pytest.approx(0, abs=1e-3)  # the two low ones
    assert found.numbers["similarity_across"] == pytest.approx(1 / 5, abs=1e-3)  # 300 and 300


def test_silence_has_no_similarity() -> None:
    like = (speech(100),)
    clips = [clip(sound, like=like) for sound in (speech(100), audio(silence(1)), audio())]
    found = similarity.measure(clips, TOOLS)
    assert [round(row["similarity"], 3) for row in found.rows] == [1, 0, 0]


def test_a_voice_without_speech_is_an_error() -> None:
    with pytest.raises(AudioError, match="the audio to compare voice 0 with has no speech"):
        similarity.measure([clip(speech(100), like=(audio(silence(1)),))], TOOLS)


def test_several_voices_have_their_own_scores() -> None:
    tools = Tools(scorer=Dnsmos(Loudness()))
    clips = [clip(audio(tone(1, level)), voice=name) for level, name in ((0.25, "a"), (0.75, "b"))]
    numbers = quality.measure(clips, tools).numbers
    assert numbers["p808/a"] == pytest.approx(2, abs=0.05)
    assert numbers["p808/b"] == pytest.approx(4, abs=0.05)


class Loudness:
    """Stands for speechmos; scores the peak."""

    def __init__(self) -> None:
        self.windows: list[NDArray[np.float32]] = []

    def __call__(self, samples: NDArray[np.float32], sample_rate: int) -> dict[str, float]:
        assert sample_rate == 16_000
        self.windows.append(samples)
        opinion = 1 + 4 * float(np.abs(samples).max())
        return dict.fromkeys(dnsmos.NAMES.values(), opinion)


def test_opinion_is_of_one_window_of_a_repeated_clip() -> None:
    scorer = Loudness()
    opinion = Dnsmos(scorer)(audio(tone(2, 0.5)))
    assert opinion == pytest.approx({"ovrl": 3, "sig": 3, "bak": 3, "p808": 3}, abs=0.05)
    (samples,) = scorer.windows
    assert len(samples) == 144_160
    assert samples.dtype == np.float32
    assert np.array_equal(samples[:32_000], samples[32_000:64_000])


def test_long_and_loud_sound_fits_the_window() -> None:
    samples = dnsmos.window(audio(tone(12, 1.5)))
    assert len(samples) == 144_160
    assert np.abs(samples).max() == pytest.approx(1)


def test_silence_gets_the_worst_opinion() -> None:
    scorer = Loudness()
    tools = Tools(scorer=Dnsmos(scorer))
    found = quality.measure([clip(audio(tone(1, 0.5))), clip(audio(silence(1)))], tools)
    assert len(scorer.windows) == 1
    assert "p808/0" not in found.numbers  # there is one voice
    assert found.rows[1] == {"ovrl": 1, "sig": 1, "bak": 1, "p808": 1}
    assert found.numbers["p808"] == pytest.approx(2, abs=0.05)


def test_missing_packages_are_reported_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("jiwer", "resemblyzer", "speechmos.dnsmos", "faster_whisper"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        ConfigError, match=r'the package jiwer is needed.*: pip install "causerie\[evaluate\]"'
    ):
        need("jiwer", "evaluate")
    with pytest.raises(ConfigError, match="pip install --no-deps Resemblyzer"):
        Resemblyzer()
    with pytest.raises(ConfigError, match=r"causerie\[evaluate\]"):
        Dnsmos()
    with pytest.raises(ConfigError, match="faster_whisper"):
        _ = Tools().recognizer
