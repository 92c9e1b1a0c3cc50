"""Durations, pauses, stops and speed of sounds that are known."""

from __future__ import annotations

import pytest

from causerie.evaluate import duration, silence, speed, stopping
from causerie.evaluate.tools import Tools
from tests.evaluate import sounds
from tests.evaluate.sounds import audio, clip, tone

TOOLS = Tools()


def test_pauses() -> None:
    sound = audio(sounds.silence(0.2), tone(1), sounds.silence(0.5), tone(1), sounds.silence(0.3))
    found = silence.pauses(sound)
    assert found.lead_s == pytest.approx(0.2)
    assert found.longest_s == pytest.approx(0.5)
    assert found.tail_s == pytest.approx(0.3)
    assert found.share == pytest.approx(1 / 3)


def test_level_decides_what_is_silent() -> None:
    assert silence.pauses(audio(tone(1), tone(1, 0.3 * 0.02), tone(1))).longest_s == 0
    quieter = silence.pauses(audio(tone(1), tone(1, 0.3 * 0.005), tone(1)))
    assert quieter.longest_s == pytest.approx(1)


@pytest.mark.parametrize("sound", [audio(sounds.silence(2)), audio(tone(2, 1e-4)), audio()])
def test_nothing_audible_is_all_silence(sound: sounds.Audio) -> None:
    found = silence.pauses(sound)
    assert (found.share, found.longest_s, found.tail_s) == (1, 0, sound.duration_s)


def test_long_pauses_are_counted() -> None:
    broken = clip(audio(tone(1), sounds.silence(1.5), tone(1)))
    numbers = silence.measure([broken, clip(audio(tone(2)))], TOOLS).numbers
    assert numbers["long_pauses"] == 0.5
    assert numbers["longest_pause_s"] == pytest.approx(1.5)


def test_longer_texts_and_numbers_take_longer() -> None:
    short, long = duration.expected_s("Good morning."), duration.expected_s("Good morning. " * 3)
    assert short == pytest.approx(0.24 + 0.059 * 11)
    assert long == pytest.approx(0.24 + 0.059 * 33)
    assert duration.expected_s("1984") == duration.expected_s("nineteen eighty four")


def test_durations_out_of_proportion_are_flagged() -> None:
    usual = duration.expected_s("Good morning.")
    clips = [clip(audio(tone(factor * usual))) for factor in (0.4, 0.6, 1.0, 1.9, 2.1)]
    found = duration.measure(clips, TOOLS)
    assert found.numbers["duration_ratio"] == pytest.approx(1, abs=1e-3)
    assert found.numbers["too_short"] == found.numbers["too_long"] == 0.2
    assert found.numbers["seconds"] == pytest.approx(6 * usual, abs=1e-3)
    assert [round(row["duration_ratio"], 1) for row in found.rows] == [0.4, 0.6, 1.0, 1.9, 2.1]


def test_stopping() -> None:
    made = [audio(tone(1), stopped="end"), audio(tone(1), stopped="limit"), audio(stopped="end")]
    found = stopping.measure([clip(one) for one in [*made, audio(tone(1))]], TOOLS)
    assert found.numbers == {"stopped": pytest.approx(2 / 3), "empty": pytest.approx(1 / 3)}
    assert found.rows == [{"stopped": "end"}, {"stopped": "limit"}, {"stopped": "end"}, {}]
    assert stopping.measure([clip(audio(tone(1)))], TOOLS).numbers == {}


def test_speed_weighs_clips_by_their_length() -> None:
    clips = [
        clip(audio(tone(1), rtf=0.5, first_sound_ms=10.0)),
        clip(audio(tone(3), rtf=0.1, first_sound_ms=30.0)),
    ]
    numbers = speed.measure(clips, TOOLS).numbers
    assert numbers["rtf"] == pytest.approx((0.5 + 0.3) / 4)
    assert numbers["first_sound_ms_p50"] == 20
    assert numbers["first_sound_ms_p95"] == pytest.approx(29)
    assert speed.measure([clip(audio(tone(1)))], TOOLS).numbers == {}
