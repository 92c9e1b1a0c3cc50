"""The native source-filter decoder against the codec in torch, and a slot alone against a batch."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from causerie.codec.mimi import Mimi
from causerie.codec.source_filter import (
    CYCLE,
    NUM_OUTPUTS,
    SourceFilter,
    SourceFilterState,
)
from causerie.config import MimiConfig, SourceFilterConfig
from causerie.engine.runners.native import NativeRunner
from causerie.engine.runners.plain import PlainRunner
from causerie.native.codec import native_decoder
from causerie.native.decoder import Weights
from causerie.native.library import load
from causerie.native.mimi import NativeDecoder
from causerie.native.products import Pool
from causerie.native.source_filter import NativeSourceFilter
from tests import tiny
from tests.engine import asking
from tests.kernels import KERNELS
from tests.native.streams import Streams, alone, in_torch, random_codes

#: Name → sizes. Petit's are the true ones; in the others nothing is a multiple of sixteen, and a
#: frame has 3 or 18 hops, fewer and more than a register has lanes.
SIZES = {
    "tiny": tiny.source_filter_config(),
    "petit": MimiConfig(
        num_filters=16, dim=256, ratios=(4, 5, 6, 8), num_layers=3, num_heads=4, ffn_dim=1024,
        num_codebooks=4, codebook_size=1024, codebook_dim=96, decoder=SourceFilterConfig(),
    ),
    "short": dataclasses.replace(
        tiny.mimi_config(), ratios=(5, 6, 6), dim=36, codebook_dim=5,
        decoder=SourceFilterConfig(
            front_dim=21, front_layers=1, front_kernel=2, dim=17, num_layers=1, kernel=9,
            expansion=1, steps=3, hops_per_step=1,
        ),
    ),
    "long": dataclasses.replace(
        tiny.mimi_config(), ratios=(5, 6, 4, 9), dim=20, num_codebooks=1,
        decoder=SourceFilterConfig(
            front_dim=9, front_layers=2, front_kernel=4, dim=37, num_layers=3, kernel=2,
            expansion=2, steps=9, hops_per_step=2,
        ),
    ),
}  # fmt: skip


def codec_of(name: str) -> Mimi:
    return tiny.mimi(config=SIZES[name])


def source_filter(codec: Mimi) -> SourceFilter:
    assert isinstance(codec.decoder, SourceFilter)
    return codec.decoder


def difference(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """The power of the difference, as a share."""
    assert theirs.std() > 0.01
    return float(np.square(ours - theirs).mean() / np.square(theirs).mean())


# -- native = torch ------------------------------------------------------------------------------


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", SIZES)
def test_equals_the_codec(name: str, kernels: str) -> None:
    codec = codec_of(name)
    codes = random_codes(codec.config, 70)  # the noise of petit repeats after 64
    with torch.inference_mode():
        latent = codec.quantizer.decode(torch.from_numpy(codes.T).long()[None])
        voiced = source_filter(codec).predict(latent).voicing > 0
    assert 0.1 < voiced.float().mean() < 0.9
    decoder = NativeSourceFilter(codec, 1, pool=Pool(1, load(kernels)))
    assert difference(alone(decoder, codes), in_torch(codec, codes)) < 1e-6


@pytest.mark.parametrize("num_codebooks", range(1, tiny.NUM_CODEBOOKS))
def test_leading_codebooks(num_codebooks: int) -> None:
    codec = codec_of("tiny")
    codes = random_codes(codec.config, 5)[:, :num_codebooks]
    assert difference(alone(NativeSourceFilter(codec, 1), codes), in_torch(codec, codes)) < 1e-6


def test_bfloat16_is_near() -> None:
    """Pitch and voicing are fixed: their small errors would move whole pulses."""
    codec = codec_of("petit")
    fix_pitch(codec, hertz=200.0, voiced=True)
    codes = random_codes(codec.config, 30)
    ours = alone(NativeSourceFilter(codec, 1, weights="bfloat16"), codes)
    assert 1e-7 < difference(ours, in_torch(codec, codes)) < 1e-3


@torch.no_grad()
def fix_pitch(codec: Mimi, hertz: float, voiced: bool) -> None:
    """Let every hop have this voicing, and a pitch of 200 Hz or of the range's ends."""
    output = source_filter(codec).output
    weight = output.weight.unflatten(0, (-1, NUM_OUTPUTS))
    bias = output.bias.unflatten(0, (-1, NUM_OUTPUTS))
    weight[:, :2] = 0
    bias[:, 0] = 1 if voiced else -1
    bias[:, 1] = {50.0: -1e3, 200.0: 0.0, 700.0: 1e3}[hertz]


@pytest.mark.parametrize("hertz", [50.0, 700.0])
def test_the_ends_of_the_range_of_pitch(hertz: float) -> None:
    codec = codec_of("tiny")
    fix_pitch(codec, hertz, voiced=True)
    codes = random_codes(codec.config, 10)
    assert difference(alone(NativeSourceFilter(codec, 1), codes), in_torch(codec, codes)) < 1e-6


@pytest.mark.parametrize("num_frames", [4500, pytest.param(45_000, marks=pytest.mark.slow)])
def test_an_old_stream_equals_a_state_of_that_age(num_frames: int) -> None:
    """The codec's state is put six minutes, and an hour, ahead by arithmetic."""
    codec = codec_of("tiny")
    fix_pitch(codec, 200.0, voiced=True)
    decoder = NativeSourceFilter(codec, 1)
    same = random_codes(codec.config, 1)
    for _ in range(num_frames):
        decoder.decode([0], same)
    state = codec.new_decoder_state()
    assert isinstance(state, SourceFilterState)
    repeated = torch.from_numpy(same).long()[:, :, None].expand(-1, -1, 30)
    codec.decode_step(repeated, state)  # fills the windows of all blocks
    state.hop += (num_frames - 30) * 16
    state.phase.fill_(num_frames * 1920 * int(state.step) % CYCLE)
    ours = alone_from(decoder, same, 4)
    theirs = codec.decode_step(repeated[..., :4], state)[0, 0].numpy().reshape(4, -1)
    assert difference(ours[1:], theirs[1:]) < 1e-6  # the first frame has the sound of another past


def alone_from(
    decoder: NativeSourceFilter, codes: NDArray[np.int32], num_frames: int
) -> NDArray[np.float32]:
    return np.concatenate([decoder.decode([0], codes) for _ in range(num_frames)])


def test_unvoiced_sound_repeats_with_the_noise_to_the_bit() -> None:
    codec = codec_of("tiny")
    fix_pitch(codec, 200.0, voiced=False)
    decoder = NativeSourceFilter(codec, 1)
    same = random_codes(codec.config, 1)
    sound = alone_from(decoder, same, 16 + 2 * 64)
    assert sound.std() > 0.01
    assert np.array_equal(sound[16:80], sound[80:])


# -- a slot = alone ------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["float32", "bfloat16"])
@pytest.mark.parametrize("num_threads", [1, 2, 3])
def test_streams_that_join_and_leave_sound_as_alone(weights: Weights, num_threads: int) -> None:
    codec = codec_of("petit")
    single = NativeSourceFilter(codec, 1, 1, weights)
    streams = list(Streams(NativeSourceFilter(codec, 5, num_threads, weights)).run(30))
    assert len(streams) > 7
    for codes, sound in streams:
        assert np.array_equal(sound, alone(single, codes))


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", ["short", "long"])
def test_streams_of_any_sizes_sound_as_alone(name: str, kernels: str) -> None:
    codec = codec_of(name)
    single = NativeSourceFilter(codec, 1, pool=Pool(1, load(kernels)))
    decoder = NativeSourceFilter(codec, 20, pool=Pool(2, load(kernels)))
    for codes, sound in Streams(decoder).run(20):
        assert np.array_equal(sound, alone(single, codes))


def test_a_reset_forgets_numbers_that_were_not_finite() -> None:
    codec = codec_of("tiny")
    codec.quantizer.semantic.centroids[0, 3] = float("nan")
    codes = random_codes(codec.config, 20)
    codes[codes == 3] = 4
    decoder = NativeSourceFilter(codec, 2)
    expected = alone(decoder, codes)
    decoder.reset(0)
    broken = np.full((2, tiny.NUM_CODEBOOKS), 3, np.int32)
    for _ in range(3):
        sound = decoder.decode([0, 1], broken)
    assert np.isnan(sound).all()
    decoder.reset(0)
    for frame, sound in zip(codes, expected, strict=True):
        beside = decoder.decode([1, 0], np.stack([broken[0], frame]))
        assert np.isnan(beside[0]).all()
        assert np.array_equal(beside[1], sound)


# -- the rest of the package ---------------------------------------------------------------------


def test_a_codec_gets_its_own_decoder() -> None:
    pool = Pool(1)
    assert isinstance(native_decoder(tiny.mimi(), 1, "float32", pool), NativeDecoder)
    assert isinstance(native_decoder(codec_of("tiny"), 1, "float32", pool), NativeSourceFilter)


def test_refusals() -> None:
    decoder = NativeSourceFilter(codec_of("tiny"), 2)
    with pytest.raises(ValueError, match="no slot 2, only 0 … 1"):
        decoder.decode([2], np.zeros((1, 2), np.int32))
    with pytest.raises(ValueError, match="codes must be 0 … 31, not 0 … 32"):
        decoder.decode([0], np.array([[0, 32]]))


def test_a_reply_is_the_same_with_the_plain_runner() -> None:
    codec = codec_of("tiny")
    rows = asking.text(random.Random(0), 9)
    requests = [asking.request(rows, max_frames=60, seed=seed) for seed in (1, 2)]
    ours = asking.alone(lambda slots: NativeRunner(tiny.csm(), codec, slots), requests)
    theirs = asking.alone(lambda slots: PlainRunner(tiny.csm(), codec, slots), requests)
    for (frames, sound, state), (expected, expected_sound, _) in zip(ours, theirs, strict=True):
        assert (frames, state) == (expected, "limit")
        assert len(frames) > 20
        played = np.frombuffer(sound, np.float32)
        assert difference(played, np.frombuffer(expected_sound, np.float32)) < 1e-6
