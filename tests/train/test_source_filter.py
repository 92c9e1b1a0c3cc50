"""Losses of the source-filter decoder: they are least at the truth, and teach it."""

from __future__ import annotations

import math

import pytest
import torch

from causerie.codec.source_filter import APERIODICITY_HZ, ENVELOPE_HZ, Parameters, synthesize
from causerie.config import HOP
from causerie.train.source_filter import Tracks, pitch_loss, spoken, tracks_of

NUM_HOPS = 160


def truth() -> Parameters:
    """A voice that glides from 120 to 180 Hz, silent of voice in the middle."""
    hz = torch.tensor(ENVELOPE_HZ)
    voicing = torch.full((1, NUM_HOPS), 8.0)
    voicing[:, 60:90] = -8.0
    return Parameters(
        pitch=torch.linspace(120, 180, NUM_HOPS)[None],
        voicing=voicing,
        envelope=(-hz / 2500 - 2).float().expand(1, NUM_HOPS, -1),
        aperiodicity=torch.full((1, NUM_HOPS, len(APERIODICITY_HZ)), -3.0),
    )


def test_the_tracks_of_a_voice() -> None:
    given = truth()
    found = tracks_of(synthesize(given)[0, HOP:])
    assert found.pitch.shape == found.voiced.shape == (NUM_HOPS - 1,)
    voiced = given.voicing[0, :-1] > 0
    assert (found.voiced != voiced.float()).float().mean() < 0.1
    both = voiced & (found.voiced > 0)
    ratio = found.pitch[both] / given.pitch[0, :-1][both]
    assert (ratio.log2().abs() < 0.03).float().mean() > 0.98


def test_the_loss_is_least_at_the_truth() -> None:
    given = truth()
    tracks = Tracks(given.pitch, (given.voicing > 0).float())
    right = pitch_loss(given, tracks)
    assert right < 1e-3
    higher = Parameters(given.pitch * 1.1, given.voicing, given.envelope, given.aperiodicity)
    silent = Parameters(given.pitch, -given.voicing, given.envelope, given.aperiodicity)
    assert float(pitch_loss(higher, tracks) - right) == pytest.approx(4 * math.log(1.1), rel=1e-4)
    assert pitch_loss(silent, tracks) > 1
    unvoiced = Tracks(given.pitch, torch.zeros_like(given.pitch))
    assert pitch_loss(silent, unvoiced).isfinite()


def test_spoken_sound_has_the_pitch_of_the_tracks() -> None:
    given = truth()
    low = Parameters(given.pitch / 2, given.voicing, given.envelope, given.aperiodicity)
    tracks = Tracks(given.pitch, (given.voicing > 0).float())
    sound = spoken(low, tracks, torch.Generator().manual_seed(0))
    assert sound.shape == (1, 1, (NUM_HOPS - 1) * HOP)
    found = tracks_of(sound[0, 0])
    voiced = found.voiced > 0
    ratio = found.pitch[voiced] / given.pitch[0, :-1][voiced]
    assert (ratio.log2().abs() < 0.03).float().mean() > 0.98


def test_windows_are_padded_without_voice() -> None:
    tracks = Tracks(torch.arange(1.0, 11), torch.ones(10))
    window = tracks.cut(7, 5)
    assert window.pitch.tolist() == [8, 9, 10, 10, 10]
    assert window.voiced.tolist() == [1, 1, 1, 0, 0]
    assert Tracks.stack([window, tracks.cut(0, 5)]).pitch.shape == (2, 5)
