"""Measurements, and the limits that they must keep."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from causerie.data import loudness
from causerie.data.activity import RATE, Span
from causerie.data.checks import Limits, Measured, pace, reasons, signal_to_noise_db
from causerie.data.letters import character_error_rate
from causerie.errors import ConfigError

GOOD = Measured(sample_rate=44_100, clipped=0.0, snr_db=30.0, loudness=-25.0, pace=15.0, cer=0.05)


@pytest.mark.parametrize(
    ("change", "duration_s", "kinds"),
    [
        ({}, 3, []),
        ({}, 0.4, ["too short"]),
        ({}, 25, ["too long"]),
        ({"sample_rate": 8_000}, 3, ["sample rate"]),
        ({"clipped": 0.01}, 3, ["clipping"]),
        ({"snr_db": 5.0}, 3, ["noise"]),
        ({"loudness": -60.0}, 3, ["too quiet"]),
        ({"pace": 1.0}, 3, ["pace"]),
        ({"pace": 1.0}, 1, []),  # "Oh."
        ({"pace": 40.0}, 1, ["pace"]),
        ({"cer": 0.5}, 3, ["transcript"]),
        ({"cer": 0.5, "snr_db": 2.0, "clipped": 0.2}, 3, ["clipping", "noise", "transcript"]),
        (dict.fromkeys(vars(GOOD)), 3, []),
    ],
)
def test_reasons(change: dict[str, float], duration_s: float, kinds: list[str]) -> None:
    measured = Measured(**{**vars(GOOD), **change})
    found = reasons(measured, "Hello.", duration_s, Limits())
    assert [reason.kind for reason in found] == kinds


@pytest.mark.parametrize(
    "values",
    [{"min_s": -1}, {"max_cer": math.nan}, {"max_cer": True}, {"min_s": 30}, {"min_pace": 28}],
)
def test_invalid_limits_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        Limits(**values)


def noisy(snr_db: float, silence_s: float) -> tuple[np.ndarray, list[Span]]:
    random = np.random.default_rng(0)
    samples = random.normal(0, 0.01, int((2 * silence_s + 2) * RATE))
    times = np.arange(2 * RATE) / RATE
    tone = 0.01 * 10 ** (snr_db / 20) * 2**0.5 * np.sin(2 * np.pi * 200 * times)
    first = int(silence_s * RATE)
    samples[first : first + len(tone)] += tone
    return samples.astype(np.float32), [Span(silence_s, silence_s + 2)]


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 25.0, 40.0])
def test_noise_is_measured_in_the_silence(snr_db: float) -> None:
    samples, speech = noisy(snr_db, 1.0)
    assert signal_to_noise_db(samples, speech, speech) == pytest.approx(snr_db, abs=0.7)


def test_noise_where_there_is_no_silence() -> None:
    samples, speech = noisy(40, 0.0)
    assert signal_to_noise_db(samples, speech, speech) < 10  # a steady tone could be a hum
    samples[: RATE // 2] *= 0.01
    assert 35 < signal_to_noise_db(samples, speech, speech) < 60


def test_digital_silence_is_no_noise_and_no_speech() -> None:
    samples, speech = noisy(40, 1.0)
    samples[:RATE], samples[-RATE:] = 0, 0
    assert signal_to_noise_db(samples, speech, speech) == 80
    assert signal_to_noise_db(np.zeros(RATE, np.float32), speech, speech) == 0
    assert signal_to_noise_db(np.zeros(9, np.float32), [Span(0, 0.1)], []) == 0


def test_pace_counts_letters_and_digits() -> None:
    assert pace("It's 9!", [Span(0, 1), Span(2, 3)]) == 2
    assert pace("…", [Span(0, 1)]) is None


@pytest.mark.parametrize(
    ("text", "heard", "language", "rate"),
    [
        ("Hello, you!", "hello you", "en", 0),
        ("In 1984.", "in nineteen eighty-four", "en", 0),
        ("every day", "everyday", "en", 0),
        ("abcd", "abxd", "en", 0.25),
        ("abcd", "", "en", 1),
        ("ab", "abcdef", "en", 2),
        ("Straße", "strasse", "de", 0),
    ],
)
def test_character_error_rate(text: str, heard: str, language: str, rate: float) -> None:
    assert character_error_rate(text, heard, language) == rate


def test_a_missing_package_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidfuzz.distance", None)
    with pytest.raises(ConfigError, match="the package rapidfuzz"):
        character_error_rate("a", "b", "en")


def sine(level: float, seconds: float) -> np.ndarray:
    times = np.arange(int(seconds * 24_000)) / 24_000
    return (level * np.sin(2 * np.pi * 997 * times)).astype(np.float32)


def test_loudness_and_the_gain_that_levels_it() -> None:
    # BS.1770: a full-scale sine of 997 Hz in one channel has -3.01 LUFS
    assert loudness.loudness([sine(1, 3)], 24_000) == pytest.approx(-3.01, abs=0.1)
    pieces = [sine(0.02, 2), sine(0.05, 3)]
    measured = loudness.loudness(pieces, 24_000)
    factor, held_back = loudness.gain(pieces, measured)
    assert not held_back
    levelled = loudness.loudness([piece * np.float32(factor) for piece in pieces], 24_000)
    assert levelled == pytest.approx(loudness.TARGET_LUFS, abs=0.05)


def test_peaks_limit_the_gain() -> None:
    piece = sine(0.001, 3)
    piece[100] = 0.5
    factor, held_back = loudness.gain([piece], loudness.loudness([piece], 24_000))
    assert held_back
    assert factor * 0.5 == pytest.approx(loudness.MAX_PEAK)


def test_short_and_silent_pieces_have_a_loudness() -> None:
    assert loudness.loudness([sine(0.5, 0.1)], 24_000) > -40
    assert loudness.loudness([np.zeros(24_000, np.float32)], 24_000) == loudness.SILENCE_LUFS
