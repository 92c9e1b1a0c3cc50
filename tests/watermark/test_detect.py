"""Detection: what is found, what is not, and that its probabilities hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.audio.io import encode
from causerie.audio.resample import resample
from causerie.errors import WatermarkError
from causerie.watermark.detect import BOUND, SPEEDS, WARPS, Detection, Patterns, detect, log_tail
from causerie.watermark.evidence import STRAIGHT, Spectra, _stretched
from causerie.watermark.key import MAX_PAYLOAD, PUBLIC_KEY, Watermark, new_key, write_key
from causerie.watermark.mark import Marker
from tests.watermark.sounds import RATE, host, voice

OWN_KEY = bytes(range(32))


def marked(
    seconds: float, seed: int = 0, key: bytes = PUBLIC_KEY, payload: int = 0
) -> NDArray[np.float32]:
    marker = Marker(Watermark(key=key, payload=payload), RATE)
    return marker.mark(host(seconds, seed), marker.begin(seed, b"text"))


def found(
    samples: NDArray[np.float32], rate: int = RATE, key: bytes | None = PUBLIC_KEY
) -> Detection:
    return detect(Audio(samples=samples, sample_rate=rate), key)


def test_marked_sound_is_found_and_other_sound_is_not():
    there = found(marked(3))
    assert there.is_marked
    assert there.p < 1e-30
    assert (there.payload, there.speed, there.pitch) == (0, 1.0, 1.0)
    (segment,) = there.segments
    assert (segment.start_s, segment.end_s) == (0, 3)
    missing = found(host(3))
    assert not missing.is_marked
    assert (missing.p, missing.payload, missing.segments) == (1.0, None, ())


def test_a_second_is_enough():
    assert [found(marked(1.0, seed)).is_marked for seed in range(8)] == 8 * [True]


def test_a_second_of_a_high_voice_is_enough():
    """Between its harmonics is nothing to mark, and they move from band to band."""
    marker = Marker(Watermark(), RATE)
    for seed in range(8):
        there = found(marker.mark(voice(1.0, seed), marker.begin(seed, b"text")))
        assert there.p < 1e-10
        assert found(voice(1.0, seed)).p > 0.01


def test_a_warp_has_the_same_evidence_after_others():
    spectra = Spectra(host(1.5))
    for warp in (STRAIGHT, *WARPS[:4], STRAIGHT):
        alone = Spectra(host(1.5)).evidence(warp)
        assert alone.any()
        assert np.array_equal(spectra.evidence(warp), alone)


def test_levels_of_any_number_are_stretched():
    for number in (0, 1, 2, 3, *range(597, 797)):
        rising = np.arange(number, dtype=np.float32)[:, None]
        for speed in SPEEDS:
            times = _stretched(rising, speed)[:, 0]
            assert np.allclose(times, np.arange(len(times)) / speed, rtol=1e-4)
            assert len(times) in {int(max(0, number - 1) * speed) + more for more in (0, 1)}


def test_another_key_finds_nothing():
    own = marked(4, key=OWN_KEY)
    assert not found(own).is_marked
    assert found(own, key=OWN_KEY).is_marked
    assert not found(marked(4), key=OWN_KEY).is_marked


@pytest.mark.parametrize("payload", [1, 128, 777, 40_000, MAX_PAYLOAD])
def test_the_payload_is_read(payload: int):
    assert found(marked(3, payload=payload)).payload == payload


@pytest.mark.parametrize("start", [1, 500, 1919, 30_001])
def test_a_cut_at_any_sample_is_found(start: int):
    assert found(marked(4)[start : start + RATE * 2]).p < 1e-10


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_other_rates_are_found(rate: int):
    assert found(resample(marked(3), RATE, rate), rate).p < 1e-10


@pytest.mark.parametrize("format", ["mp3", "ogg", "opus"])
def test_lossy_formats_are_found(format: str):
    assert detect(Audio.load(encode(marked(3), RATE, format)), PUBLIC_KEY).p < 1e-10


def test_level_noise_and_silence_before_it_do_not_hide_it():
    sound = marked(3)
    noise = np.random.default_rng(0).standard_normal(len(sound)).astype(np.float32)
    noise *= np.float32(0.1 * sound.std())
    assert found(sound * np.float32(0.1)).p < 1e-10
    assert found(sound + noise).p < 1e-10
    assert found(np.clip(2 * sound, -0.3, 0.3)).p < 1e-10
    assert found(np.concatenate([np.zeros(70_001, np.float32), sound])).p < 1e-10


@pytest.mark.parametrize("speed", [0.95, 1.05])
def test_another_speed_is_found(speed: float):
    sound = resample(marked(4, payload=9), round(RATE * speed), RATE)
    there = found(sound)
    assert there.p < 1e-10
    audio = Audio(samples=sound, sample_rate=RATE)
    assert not detect(audio, PUBLIC_KEY, other_speeds=False).is_marked
    assert (there.payload, there.speed, there.pitch) == (9, speed, speed)


def test_the_marked_part_of_a_long_recording_is_found():
    sound = np.concatenate([host(22, 1), marked(8, 2, payload=5), host(15, 3)])
    there = found(sound)
    assert there.payload == 5
    (segment,) = there.segments
    assert 12 <= segment.start_s <= 22
    assert 30 <= segment.end_s <= 40


def test_two_marks_in_one_file_are_two_segments():
    sound = np.concatenate([marked(6, 1, payload=1), host(20, 2), marked(6, 3, payload=2)])
    there = found(sound)
    assert [segment.payload for segment in there.segments] == [1, 2]
    assert there.segments[0].end_s < there.segments[1].start_s


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(RATE, np.float32),
        np.zeros(10, np.float32),
        np.ones(RATE, np.float32),
        np.sin(np.arange(2 * RATE) * 0.2).astype(np.float32),
        np.sign(np.sin(np.arange(3 * RATE) * 0.01)).astype(np.float32),
        np.eye(1, 3 * RATE, 999, dtype=np.float32)[0],
    ],
    ids=["silence", "short", "constant", "tone", "square", "click"],
)
def test_no_strange_sound_is_taken_for_marked(sound: NDArray[np.float32]):
    assert found(sound).p > 0.01


@pytest.mark.parametrize("kind", ["speech", "tone", "click"])
def test_the_probability_is_never_too_small(kind: str):
    """Sound against many keys: p ≤ x must be at most as frequent as x."""
    sound = {
        "speech": host(1.5),
        "tone": np.sin(np.arange(2 * RATE) * 0.2).astype(np.float32),
        "click": np.eye(1, 2 * RATE, 9_999, dtype=np.float32)[0],
    }[kind]
    evidence = Spectra(resample(sound, RATE, 16_000)).evidence()
    keys = [seed.to_bytes(32, "big") for seed in range(200)]
    results = [[*Patterns(key).matches(evidence)] for key in keys]
    plain = np.array([math.exp(log_tail(one[0][1])) for one in results]) * BOUND * 2**11
    any_payload = np.array([math.exp(log_tail(one[1][1])) for one in results]) * BOUND * 2**27
    for limit in (0.02, 0.1, 0.5):
        assert np.mean(plain <= limit) <= limit
        assert np.mean(any_payload <= limit) <= limit
    if kind == "speech":
        assert plain.min() < 3  # the bound is not so wide that it says nothing


def test_the_tail_of_the_normal_distribution():
    assert math.exp(log_tail(0)) == pytest.approx(0.5)
    assert math.exp(log_tail(1.959964)) == pytest.approx(0.025, rel=1e-5)
    assert log_tail(29.999) == pytest.approx(log_tail(30), abs=0.04)
    assert log_tail(60) == pytest.approx(-1805.0, abs=0.1)
    assert pytest.approx(1 / (2 * math.erfc(1)), rel=1e-3) == BOUND


def test_the_usual_key_is_taken_without_one(tmp_path, monkeypatch: pytest.MonkeyPatch):
    key = new_key()
    sound = marked(2, key=key)
    monkeypatch.setenv("CAUSERIE_WATERMARK_KEY", str(write_key(tmp_path / "key", key)))
    assert found(sound, key=None).is_marked
    monkeypatch.delenv("CAUSERIE_WATERMARK_KEY")
    assert not found(sound, key=None).is_marked


def test_an_invalid_key_is_refused():
    with pytest.raises(WatermarkError, match="32 bytes, not 3 bytes"):
        found(host(1), key=b"abc")
