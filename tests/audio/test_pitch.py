"""The pitch of sounds whose pitch is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from causerie.audio.pitch import track_pitch
from causerie.codec.source_filter import (
    APERIODICITY_HZ,
    ENVELOPE_HZ,
    SAMPLE_RATE,
    Parameters,
    synthesize,
)
from causerie.config import HOP

NUM_HOPS = 400


def sound(pitch: torch.Tensor, voiced: torch.Tensor) -> np.ndarray:
    """Speech-like sound: falling spectrum, two formants, some noise."""
    hz = torch.tensor(ENVELOPE_HZ)
    gain = -hz / 3000 + 1.5 * (-((hz - 600) / 200).square()).exp()
    gain += 1.2 * (-((hz - 1700) / 250).square()).exp() - 3
    given = Parameters(
        pitch=pitch[None],
        voicing=18 * voiced[None] - 9,
        envelope=gain.float().expand(1, len(pitch), -1),
        aperiodicity=torch.full((1, len(pitch), len(APERIODICITY_HZ)), -4.0),
    )
    return synthesize(given)[0, HOP:].numpy()


@pytest.mark.parametrize("middle_hz", [75.0, 110.0, 190.0, 280.0, 400.0])
def test_a_gliding_pitch(middle_hz: float) -> None:
    times = torch.arange(NUM_HOPS) / 200
    pitch = middle_hz * (1.15 ** (2 * torch.pi * 0.8 * times).sin())
    voiced = ((times * 2.5) % 1 > 0.3).float()
    found = track_pitch(sound(pitch, voiced), SAMPLE_RATE)
    size = min(NUM_HOPS, len(found.hz))
    both = found.voiced[:size] & (voiced[:size] > 0).numpy()
    cents = 1200 * np.log2(found.hz[:size][both] / pitch[:size].numpy()[both])
    assert np.median(np.abs(cents)) < 25
    assert (np.abs(cents) > 200).mean() < 0.02
    assert (found.voiced[:size] != (voiced[:size] > 0).numpy()).mean() < 0.1


def test_other_rates_and_hops() -> None:
    pitch = torch.full((NUM_HOPS,), 150.0)
    samples = np.repeat(sound(pitch, torch.ones(NUM_HOPS)), 2)  # 48 kHz
    found = track_pitch(samples, 2 * SAMPLE_RATE, hop_s=0.01)
    assert len(found.hz) == pytest.approx(NUM_HOPS / 2, abs=1)
    assert np.median(found.hz) == pytest.approx(150, rel=0.01)
    assert found.voiced.mean() > 0.95


@pytest.mark.parametrize("kind", ["silence", "noise", "short"])
def test_sound_without_pitch(kind: str) -> None:
    samples = np.zeros(24_000 if kind != "short" else 10, np.float32)
    if kind == "noise":
        samples += np.random.default_rng(0).normal(0, 0.1, len(samples)).astype(np.float32)
    found = track_pitch(samples, SAMPLE_RATE)
    assert found.voiced.mean() < 0.1
    assert np.isfinite(found.hz).all()
    assert found.hz.min() >= 60
    assert found.hz.max() <= 500
