"""watermark.py: each attack changes the sound as it says, and the mark is found after it."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from causerie.watermark.key import Watermark
from causerie.watermark.mark import Marker
from tests.watermark.sounds import RATE, host

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
#: Attacks that change the length, and the factor.
LENGTHS = {
    "tempo -5 %": 1 / 0.95,
    "tempo +5 %": 1 / 1.05,
    "speed -5 %": 1 / 0.95,
    "speed +5 %": 1 / 1.05,
}


@pytest.fixture(scope="module")
def watermark() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        return importlib.import_module("watermark")


def test_each_attack_leaves_sound_of_the_right_length(watermark: ModuleType) -> None:
    sound, rng = host(3), np.random.default_rng(0)
    for name, attack in watermark.ATTACKS.items():
        samples, rate = attack(sound, rng)
        seconds = len(samples) / rate
        if "silence" in name:
            assert seconds == 6
        elif "cut" in name:
            assert 2.6 < seconds < 3
        else:
            assert seconds == pytest.approx(3 * LENGTHS.get(name, 1), abs=0.1), name
        assert np.isfinite(samples).all()
        assert 0.01 < np.abs(samples).max() <= 1.5, name
        assert (name == "nothing") == np.array_equal(samples, sound)


def test_tables_of_a_clip(watermark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    marker, plain = Marker(Watermark(), RATE), host(3)
    marked = marker.mark(plain, marker.begin(0, b"a"))
    clips = [watermark.Clip(name="a", plain=plain, marked=marked)]
    attacks = {name: watermark.ATTACKS[name] for name in ("nothing", "16 kHz")}
    monkeypatch.setattr(watermark, "ATTACKS", attacks)
    rng = np.random.default_rng(0)
    lines = list(watermark.robustness(clips, rng))
    assert lines[2:] == [f"| {name} | 100 % | 100 % | 100 % |" for name in attacks]
    rows = list(watermark.false_positives(clips, rng))
    assert [row.split(" | ")[1:3] for row in rows[2:5]] == 3 * [["1", "0"]]
    assert list(watermark.payloads(clips, rng)) == ["Payload read right in 3 s: 100 % of 1 clips."]
