"""Mimi's interface: shapes, leading codebooks, paddings, dtype, and errors."""

from __future__ import annotations

import pytest
import torch

from causerie.codec.mimi import Mimi
from tests import tiny

FRAME = 1920


@pytest.fixture(scope="module")
def codec() -> Mimi:
    return tiny.mimi()


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("num_samples", [1, 1000, FRAME - 1, FRAME, FRAME + 1, 24000])
@pytest.mark.parametrize("padding", ["layers", "waveform"])
def test_frames_are_samples_rounded_up(codec: Mimi, num_samples: int, padding: str) -> None:
    codes = codec.encode(torch.randn(1, 1, num_samples), padding=padding)
    num_frames = -(-num_samples // FRAME)
    assert codes.shape == (1, tiny.NUM_CODEBOOKS, num_frames)
    assert codes.dtype == torch.long
    assert codec.decode(codes).shape == (1, 1, num_frames * FRAME)


def test_nothing_in_nothing_out(codec: Mimi) -> None:
    codes = codec.encode(torch.zeros(2, 1, 0))
    assert codes.shape == (2, tiny.NUM_CODEBOOKS, 0)
    assert codec.decode(codes).shape == (2, 1, 0)
    assert codec.decode(codes).dtype == torch.float32


@torch.no_grad()
def test_paddings_differ_in_the_last_frame_alone(codec: Mimi) -> None:
    pcm = torch.randn(1, 1, 5 * FRAME + 1000)
    padded = torch.nn.functional.pad(pcm, (0, FRAME - 1000))
    assert torch.equal(codec.encode(pcm, padding="waveform"), codec.encode(padded))
    layers, waveform = codec.latent(pcm), codec.latent(padded)
    torch.testing.assert_close(layers[..., :5], waveform[..., :5], atol=1e-4, rtol=1e-4)
    assert (layers[..., 5] - waveform[..., 5]).abs().max() > 0.01


@pytest.mark.parametrize("num_codebooks", range(1, tiny.NUM_CODEBOOKS + 1))
def test_leading_codebooks(codec: Mimi, num_codebooks: int) -> None:
    pcm = torch.randn(1, 1, 4 * FRAME)
    codes = codec.encode(pcm, num_codebooks)
    assert torch.equal(codes, codec.encode(pcm)[:, :num_codebooks])
    assert codec.decode(codes).shape == pcm.shape


def test_more_codebooks_come_nearer(codec: Mimi) -> None:
    latent = torch.randn(1, codec.config.dim, 50)
    branch = codec.quantizer.acoustic
    projected = branch.input_proj(latent).transpose(1, 2)
    errors = []
    for count in range(1, tiny.NUM_CODEBOOKS):
        codes = branch.encode(latent, count)
        summed = sum(branch.centroids[i][codes[:, i]] for i in range(count))
        errors.append(float((projected - summed).norm().detach()))
    assert errors == sorted(errors, reverse=True)


def test_codebooks_stay_fp32(codec: Mimi) -> None:
    half = tiny.mimi().to(torch.bfloat16)
    assert half.quantizer.acoustic.centroids.dtype == torch.float32
    assert torch.equal(half.quantizer.acoustic.centroids, codec.quantizer.acoustic.centroids)
    assert half.decode(torch.zeros(1, 5, 3, dtype=torch.long)).dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_codes_are_searched_in_fp32_under_autocast(codec: Mimi, dtype: torch.dtype) -> None:
    latent = torch.randn(2, codec.config.dim, 200).to(dtype)
    expected = codec.quantizer.encode(latent.float(), tiny.NUM_CODEBOOKS)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(codec.quantizer.encode(latent, tiny.NUM_CODEBOOKS), expected)


def test_a_batch_is_encoded_as_its_waveforms_alone(codec: Mimi) -> None:
    pcm = torch.randn(3, 1, 6 * FRAME + 700)
    alone = torch.cat([codec.encode(one[None]) for one in pcm])
    assert torch.equal(codec.encode(pcm), alone)


def test_silence_after_a_waveform_leaves_its_full_frames_as_they_are(codec: Mimi) -> None:
    lengths = [2 * FRAME, 4 * FRAME + 900, 7 * FRAME - 1]
    waveforms = [torch.randn(1, 1, length) for length in lengths]
    padded = [torch.nn.functional.pad(one, (0, 7 * FRAME - one.shape[-1])) for one in waveforms]
    batch = codec.encode(torch.cat(padded))
    for codes, waveform, length in zip(batch, waveforms, lengths, strict=True):
        full = length // FRAME
        assert torch.equal(codes[:, :full], codec.encode(waveform)[0, :, :full])


def test_refusals(codec: Mimi) -> None:
    with pytest.raises(ValueError, match="num_codebooks must be 1 … 5, not 6"):
        codec.encode(torch.zeros(1, 1, FRAME), 6)
    with pytest.raises(ValueError, match="num_codebooks must be 1 … 5, not 0"):
        codec.encode(torch.zeros(1, 1, FRAME), 0)
    with pytest.raises(ValueError, match="padding must be"):
        codec.encode(torch.zeros(1, 1, FRAME), padding="mirror")
