"""The level of a long text stays the same."""

from __future__ import annotations

import numpy as np
import pytest

from causerie.narrate.level import LIMIT_S, MAX_PEAK, TARGET_DB, gains_db, level_db, levelled

RATE = 24_000


def speech(db: float, seconds: float = 10.0) -> np.ndarray:
    """Noise of a level, with pauses that do not count."""
    noise = np.random.default_rng(0).normal(size=round(seconds * RATE)).astype(np.float32)
    noise *= 10 ** (db / 20)
    noise[2 * RATE : 4 * RATE] = 0
    return noise


def test_pauses_do_not_count() -> None:
    assert level_db(speech(-30.0), RATE) == pytest.approx(-30.0, abs=0.3)
    assert level_db(np.zeros(RATE, np.float32), RATE) == -100.0
    assert level_db(np.zeros(0, np.float32), RATE) == -100.0


def test_a_slow_drift_is_taken_out() -> None:
    levels = list(np.linspace(-34.0, -26.0, 40))  # 8 dB over 40 parts
    gains = gains_db(levels, [10.0] * 40)
    after = []
    for number in range(40):
        near = gains[max(0, number - 1)], gains[number], gains[min(39, number + 1)]
        after.append(level_db(levelled(speech(levels[number]), RATE, *near), RATE))
    assert max(after) - min(after) < 0.6
    assert np.mean(after) == pytest.approx(TARGET_DB, abs=0.3)


def test_a_whisper_between_loud_parts_stays_quieter() -> None:
    gains = gains_db([-25.0, -25.0, -40.0, -25.0, -25.0], [10.0, 10.0, 3.0, 10.0, 10.0])
    assert max(gains) - min(gains) < 2.0


def test_silence_is_not_amplified_and_peaks_are_kept() -> None:
    assert gains_db([-100.0], [0.0]) == [0.0]
    loud = levelled(speech(-20.0), RATE, 18.0, 18.0, 18.0)
    assert np.abs(loud).max() <= MAX_PEAK


def test_a_click_does_not_lower_the_speech_around_it() -> None:
    quiet = speech(-30.0)
    click = quiet.copy()
    click[RATE : RATE + 5] = 2.0
    found = levelled(click, RATE, 6.0, 6.0, 6.0)
    expected = levelled(quiet, RATE, 6.0, 6.0, 6.0)
    assert np.abs(found).max() == pytest.approx(MAX_PEAK)
    far = np.abs(np.arange(len(quiet)) - RATE) > LIMIT_S * RATE + 5
    assert np.array_equal(found[far], expected[far])
