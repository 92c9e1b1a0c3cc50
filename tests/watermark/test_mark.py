"""Marking: the same bits for any cutting and any kernels, no delay, silence and quiet sound."""

from __future__ import annotations

import numpy as np
import pytest

from causerie.errors import WatermarkError
from causerie.native.library import load
from causerie.native.watermark import NativeFilters
from causerie.watermark import mark
from causerie.watermark.key import MAX_PAYLOAD, Watermark, new_key
from causerie.watermark.mark import KNEE, MAX_STEP, Marker, PlainFilters, fade, limited
from causerie.watermark.pattern import (
    EDGES_HZ,
    HALF,
    NUM_POINTS,
    NUM_TAPS,
    SAMPLE_RATE,
    STEP,
    TAP,
    chips_of,
    filters,
    joined_payload,
    key_chips,
    payload_parts,
    start_of,
)
from tests.kernels import KERNELS
from tests.watermark.sounds import RATE, host

#: Chunks as from an engine, from a speed change, and worse.
CUTTINGS = [[1920], [1, 7, 4000], [960, 241, 239], [3, 5000, 1]]


@pytest.fixture(scope="module")
def marker() -> Marker:
    return Marker(Watermark(), RATE)


@pytest.mark.parametrize("sizes", CUTTINGS)
def test_any_cutting_gives_the_same_bits(marker: Marker, sizes: list[int]):
    sound = host(0.7)
    whole = marker.mark(sound, marker.begin(1, b"a"))
    state, parts, done = marker.begin(1, b"a"), [], 0
    while done < len(sound):
        size = sizes[len(parts) % len(sizes)]
        parts.append(marker.mark(sound[done : done + size], state))
        done += size
    assert np.array_equal(np.concatenate(parts), whole)
    assert marker.mark(sound[:0], state).size == 0


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("scale", [1, 1e-4, 4])
@pytest.mark.parametrize(("position", "size"), [(0, 2500), (950, 15), (1439, 2), (245_759, 973)])
def test_native_filters_equal_plain_ones(kernels: str, scale: float, position: int, size: int):
    samples = host(0.2, seed=3)[: NUM_TAPS - 1 + size] * np.float32(scale)
    table = filters(Watermark())
    plain = PlainFilters(table, TAP * STEP, fade(), HALF, KNEE).apply(samples, 6, position)
    native = NativeFilters(table, TAP * STEP, fade(), HALF, KNEE, load(kernels)).apply(
        samples, 6, position
    )
    assert np.array_equal(native, plain)


def test_sums_of_all_keys_fit_into_32_bits_and_are_fine_enough(marker: Marker):
    for seed in range(30):
        table = filters(Watermark(key=bytes([seed]) * 32, payload=seed))
        assert np.abs(table.astype(int)).sum(axis=1).max() * int(MAX_STEP) < 2**31
    sound = host(1)
    change = marker.mark(sound, marker.begin(0, b"")) - sound
    quiet = sound / np.float32(100)  # 46 dB below full scale at its peaks
    same = 100 * (marker.mark(quiet, marker.begin(0, b"")) - quiet)
    assert np.linalg.norm(same - change) < 0.03 * np.linalg.norm(change)


def test_streams_beside_each_other_are_as_alone(marker: Marker):
    sounds = [host(0.3, seed) for seed in range(3)]
    alone = [marker.mark(sound, marker.begin(7, b"x")) for sound in sounds]
    states = [marker.begin(7, b"x") for _ in sounds]
    parts: list[list[np.ndarray]] = [[] for _ in sounds]
    for start in range(0, len(sounds[0]), 1920):
        for sound, state, some in zip(sounds, states, parts, strict=True):
            some.append(marker.mark(sound[start : start + 1920], state))
    for one, some in zip(alone, parts, strict=True):
        assert np.array_equal(np.concatenate(some), one)


def test_nothing_is_delayed(marker: Marker):
    click = np.zeros(4000, np.float32)
    click[1500] = 0.5
    heard = marker.mark(click, marker.begin(0, b""))
    assert not heard[:1500].any()
    assert np.abs(heard).argmax() == 1500
    assert heard[1500] == pytest.approx(0.5, rel=0.01)


def test_silence_stays_silent(marker: Marker):
    state = marker.begin(0, b"")
    assert not marker.mark(np.zeros(5000, np.float32), state).any()
    marker.mark(host(0.2), state)
    after = marker.mark(np.zeros(3000, np.float32), state)
    assert np.abs(after).max() < 0.1  # the filters ring for 8 ms
    assert not after[NUM_TAPS - 1 :].any()


def test_halves_change_the_bands_of_their_chip_as_the_signs_say():
    watermark = Watermark(payload=513)
    table, chips = filters(watermark), chips_of(watermark)
    gains = 20 * np.log10(np.abs(np.fft.rfft(np.eye(1, NUM_TAPS) + TAP * table, NUM_POINTS)))
    hz = np.fft.rfftfreq(NUM_POINTS, 1 / SAMPLE_RATE)
    centres = (EDGES_HZ[1:] + EDGES_HZ[:-1]) / 2
    at = np.abs(hz - centres[:, None]).argmin(axis=1)
    for chip in (0, 50, 127):
        first, second = gains[2 * chip, at], gains[2 * chip + 1, at]
        assert np.array_equal(np.sign(first[0::2]), chips[chip])
        assert np.array_equal(np.sign(first[1::2]), -chips[chip])
        assert np.array_equal(np.sign(second), -np.sign(first))
        assert max(first.max(), second.max()) < 6.5
        assert np.abs(first[-10:]).min() > 3
    assert not gains[-1].any()


def test_a_payload_moves_and_turns_the_signs_of_some_pairs():
    assert np.array_equal(chips_of(Watermark()), key_chips(Watermark().key))
    moved = chips_of(Watermark(payload=5 | 1 << 7))
    plain = chips_of(Watermark())
    assert np.array_equal(moved[:, 1::4], -np.roll(plain[:, 1::4], -5, axis=0))
    assert np.array_equal(np.delete(moved, np.s_[1::4], 1), np.delete(plain, np.s_[1::4], 1))
    for payload in (0, 1, 127, 128, 40_000, MAX_PAYLOAD):
        assert joined_payload(payload_parts(payload)) == payload


def test_the_pattern_begins_where_key_seed_and_text_say():
    starts = {
        (start_of(watermark, seed, text))
        for watermark in (Watermark(), Watermark(key=new_key()))
        for seed in range(30)
        for text in (b"a", b"b")
    }
    assert len(starts) > 40  # of 120 draws among 128
    assert start_of(Watermark(), 5, b"Hello.") == start_of(Watermark(), 5, b"Hello.")


def test_keys_give_unrelated_signs():
    one, other = key_chips(Watermark().key), key_chips(bytes(32))
    assert abs(float((one * other).mean())) < 0.05
    assert abs(float(one.mean())) < 0.05


def test_no_peak_exceeds_full_scale_and_quiet_sound_is_not_bent(marker: Marker):
    loud = host(1.0) * 2
    heard = marker.mark(loud, marker.begin(1, b""))
    assert np.abs(heard).max() <= 1
    quiet = host(1.0) * np.float32(0.9)
    state = marker.begin(1, b"")
    samples = np.concatenate([state.before, quiet])
    expected = PlainFilters(filters(Watermark()), TAP * STEP, fade(), HALF, KNEE).apply(
        samples, state.first, 0
    )
    assert np.array_equal(marker.mark(quiet, state), expected)


def test_the_limiter_is_continuous_and_keeps_the_order():
    rising = np.linspace(-3, 3, 60_001, dtype=np.float32)
    bent = limited(rising, np.float32(KNEE))
    steps = np.diff(bent)
    assert steps.min() >= 0
    assert steps.max() < 1.2e-4  # no jump at the knee: the input rises by 1e-4
    assert np.array_equal(bent[np.abs(rising) <= KNEE], rising[np.abs(rising) <= KNEE])
    assert np.array_equal(limited(-rising, np.float32(KNEE)), -bent)
    assert limited(np.float32([1e9]), np.float32(KNEE)) == 1


def test_other_rates_are_refused():
    with pytest.raises(WatermarkError, match=r"16000 Hz cannot be marked, only at 24000 Hz"):
        Marker(Watermark(), 16_000)


def test_without_kernels_the_plain_filters_are_used(monkeypatch: pytest.MonkeyPatch):
    sound = host(0.1)
    fast = Marker(Watermark(), RATE)
    monkeypatch.setenv("CAUSERIE_NATIVE", "0")
    slow = Marker(Watermark(), RATE)
    assert isinstance(slow._filters, mark.PlainFilters)
    assert np.array_equal(
        slow.mark(sound, slow.begin(0, b"")), fast.mark(sound, fast.begin(0, b""))
    )
