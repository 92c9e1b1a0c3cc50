"""The distance that a codec's round trip makes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from causerie.evaluate import round_trip
from tests import tiny
from tests.evaluate.sounds import RATE, audio, tone


def noise(level: float = 0.1) -> torch.Tensor:
    return level * torch.randn(RATE, generator=torch.Generator().manual_seed(0))


def test_distance_is_that_of_levels_in_decibels() -> None:
    assert round_trip.distance_db(noise(), noise(), RATE) == 0
    half = round_trip.distance_db(noise(), 0.5 * noise(), RATE)
    assert half == pytest.approx(20 * math.log10(2), abs=0.1)


def test_distance_ignores_phase_but_not_sound() -> None:
    turned = round_trip.distance_db(noise(), -noise(), RATE)
    other = round_trip.distance_db(noise(), torch.from_numpy(tone(1)), RATE)
    assert turned < 1e-3
    assert other > 10


def test_round_trip_keeps_length_and_rate() -> None:
    sound = audio(tone(0.5))
    after = round_trip.round_trip(tiny.mimi(), sound, 2)
    assert (len(after.samples), after.sample_rate) == (len(sound.samples), RATE)
    full = round_trip.round_trip(tiny.mimi(), sound, tiny.NUM_CODEBOOKS)
    assert not np.array_equal(after.samples, full.samples)


def test_measure_is_the_mean_over_recordings() -> None:
    recordings = [audio(tone(0.3)), audio(tone(0.5, 0.1))]
    found = round_trip.measure(tiny.mimi(), recordings, 3)
    each = [row["codec_db"] for row in found.rows]
    assert min(each) > 1  # a random codec is a bad one
    assert each[0] != each[1]
    assert found.numbers == {"codec_db": pytest.approx(sum(each) / 2)}
