"""The native decoder against the codec in torch, and a slot alone against a slot in a batch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from causerie.checkpoint import load_codec
from causerie.codec.mimi import Mimi
from causerie.config import MimiConfig
from causerie.native.decoder import Weights
from causerie.native.library import load, runnable
from causerie.native.mimi import NativeDecoder
from causerie.native.products import Pool
from tests import tiny
from tests.native.streams import Streams, alone, in_torch, random_codes

#: Nothing here is a multiple of sixteen, or the same as in Kyutai's: name → sizes.
ODD = {
    "narrow": MimiConfig(
        num_filters=3, dim=24, ratios=(3, 1, 2), kernel=5, residual_kernel=1, last_kernel=4,
        compress=3, num_layers=1, num_heads=2, ffn_dim=37, context=9, num_codebooks=2,
        codebook_size=7, codebook_dim=5,
    ),
    "wide": MimiConfig(
        num_filters=20, dim=160, ratios=(9,), kernel=1, compress=1, num_layers=3, num_heads=2,
        ffn_dim=100, context=65, num_codebooks=1, codebook_size=50, codebook_dim=17,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def small() -> Mimi:
    """A codec of petit's sizes, with Mimi's decoder."""
    return tiny.mimi(config=dataclasses.replace(load_codec("petit").config, decoder=None))


def difference(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """The largest error, relative to the loudest sample."""
    assert np.abs(theirs).max() > 0.01
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


# -- native = torch ------------------------------------------------------------------------------


def test_equals_the_codec_past_its_window() -> None:
    codec = tiny.mimi()
    codes = random_codes(codec.config, 143)  # 286 steps of the transformer, which sees 250
    assert difference(alone(NativeDecoder(codec, 1), codes), in_torch(codec, codes)) < 1e-5


@pytest.mark.parametrize("kernels", runnable())
@pytest.mark.parametrize("name", ODD)
def test_equals_a_codec_of_any_sizes(name: str, kernels: str) -> None:
    codec = tiny.mimi(config=ODD[name])
    codes = random_codes(codec.config, 40)  # 80 steps
    decoder = NativeDecoder(codec, 1, pool=Pool(1, load(kernels)))
    assert difference(alone(decoder, codes), in_torch(codec, codes)) < 1e-5


def test_equals_a_codec_of_petits_sizes(small: Mimi) -> None:
    codes = random_codes(small.config, 30)
    assert difference(alone(NativeDecoder(small, 1), codes), in_torch(small, codes)) < 1e-5


@pytest.mark.parametrize("num_codebooks", range(1, tiny.NUM_CODEBOOKS))
def test_leading_codebooks(num_codebooks: int) -> None:
    codec = tiny.mimi()
    codes = random_codes(codec.config, 5)[:, :num_codebooks]
    assert difference(alone(NativeDecoder(codec, 1), codes), in_torch(codec, codes)) < 1e-5


def test_bfloat16_is_near(small: Mimi) -> None:
    codes = random_codes(small.config, 30)
    ours, theirs = alone(NativeDecoder(small, 1, weights="bfloat16"), codes), in_torch(small, codes)
    assert 1e-4 < np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) < 0.05


# -- a slot = alone ------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["float32", "bfloat16"])
@pytest.mark.parametrize("num_threads", [1, 2, 3])
def test_streams_that_join_and_leave_sound_as_alone(
    small: Mimi, weights: Weights, num_threads: int
) -> None:
    single = NativeDecoder(small, 1, 1, weights)
    streams = list(Streams(NativeDecoder(small, 5, num_threads, weights)).run(30))
    assert len(streams) > 7
    for codes, sound in streams:
        assert np.array_equal(sound, alone(single, codes))


def test_a_reset_forgets_a_window_that_was_full_and_not_finite() -> None:
    codec = tiny.mimi()
    codec.quantizer.semantic.centroids[0, 3] = float("nan")
    codes = random_codes(codec.config, 20)
    codes[codes == 3] = 4
    decoder = NativeDecoder(codec, 2)
    expected = alone(decoder, codes)
    decoder.reset(0)
    for _ in range(130):
        sound = decoder.decode([0, 1], np.full((2, tiny.NUM_CODEBOOKS), 3, np.int32))
    assert np.isnan(sound).all()
    assert np.array_equal(alone(decoder, codes), expected)
    other = random_codes(codec.config, 1)
    other[other == 3] = 4
    decoder.reset(0)
    beside = decoder.decode([1, 0], np.concatenate([other, codes[:1]]))
    assert np.isnan(beside[0]).all()
    assert np.array_equal(beside[1:], expected[:1])


def test_does_not_need_the_codec_afterwards() -> None:
    codec = tiny.mimi()
    codes = random_codes(codec.config, 3)
    expected = in_torch(codec, codes)
    decoder = NativeDecoder(codec.double(), 1)
    del codec
    assert difference(alone(decoder, codes), expected) < 1e-5


def test_no_slots_no_sound() -> None:
    decoder = NativeDecoder(tiny.mimi(), 2)
    assert decoder.decode([], np.zeros((0, 3), np.int32)).shape == (0, 1920)


# -- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slots", "codes", "message"),
    [
        ([2], [[0, 0]], "no slot 2, only 0 … 1"),
        ([-1], [[0, 0]], "no slot -1"),
        ([1, 1], [[0, 0], [0, 0]], "slots must differ"),
        ([0], [[0, 32]], "codes must be 0 … 31, not 0 … 32"),
        ([0], [[-1, 0]], "codes must be 0 … 31, not -1 … 0"),
        ([0], [[2**32, 0]], "codes must be 0 … 31"),
        ([0, 1], [[0, 0]], "one row per slot"),
        ([0], [[]], "one row per slot"),
        ([0], [[0] * 6], "one row per slot"),
        ([0], [0, 0], "one row per slot"),
        ([0], [[0.5, 0]], "whole numbers"),
    ],
)
def test_refusals(slots: list[int], codes: object, message: str) -> None:
    decoder = NativeDecoder(tiny.mimi(), 2)
    with pytest.raises(ValueError, match=message):
        decoder.decode(slots, np.array(codes))
    with pytest.raises(ValueError, match="no slot 7"):
        decoder.reset(7)
