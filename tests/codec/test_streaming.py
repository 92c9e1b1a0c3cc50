"""The codec's equality: streaming = offline with any chunks, past 250 transformer steps too."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from causerie.codec.mimi import Mimi
from causerie.nn.rope import rotation
from tests import tiny

FRAME = 1920
NUM_FRAMES = 140  # 280 steps of the transformers, whose context is 250
CUTTINGS = {
    "one by one": [1] * NUM_FRAMES,
    "growing": [1, 2, 3, 5, 8, 13, 21, 34, 53],
    "all at once": [NUM_FRAMES],
    "past the context": [3, 130, 7],
}


@pytest.fixture(scope="module")
def codec() -> Mimi:
    return tiny.mimi()


@pytest.fixture(scope="module")
def pcm() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 1, NUM_FRAMES * FRAME)


@pytest.fixture(scope="module")
def codes() -> Tensor:
    torch.manual_seed(2)
    return torch.randint(tiny.CODEBOOK_SIZE, (2, tiny.NUM_CODEBOOKS, NUM_FRAMES))


@torch.no_grad()
def stream_latent(codec: Mimi, pcm: Tensor, sizes: list[int]) -> Tensor:
    state = codec.new_encoder_state(pcm.shape[0])
    pieces = pcm.split([size * FRAME for size in sizes], dim=-1)
    return torch.cat([codec.latent(piece, state) for piece in pieces], dim=-1)


@pytest.mark.parametrize("sizes", CUTTINGS.values(), ids=CUTTINGS.keys())
@torch.no_grad()
def test_encoding(codec: Mimi, pcm: Tensor, sizes: list[int]) -> None:
    offline = codec.latent(pcm)
    assert offline.std() > 0.1
    torch.testing.assert_close(stream_latent(codec, pcm, sizes), offline, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("sizes", CUTTINGS.values(), ids=CUTTINGS.keys())
@torch.no_grad()
def test_decoding(codec: Mimi, codes: Tensor, sizes: list[int]) -> None:
    offline = codec.waveform(codec.quantizer.decode(codes))
    assert offline.std() > 0.1
    state = codec.new_decoder_state(codes.shape[0])
    streamed = [codec.decode_step(piece, state) for piece in codes.split(sizes, dim=-1)]
    torch.testing.assert_close(torch.cat(streamed, dim=-1), offline, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(codec.decode(codes), offline, atol=1e-4, rtol=1e-4)


def test_codes_in_steps(codec: Mimi, pcm: Tensor) -> None:
    state = codec.new_encoder_state(pcm.shape[0])
    streamed = [codec.encode_step(piece, state) for piece in pcm.split(7 * FRAME, dim=-1)]
    assert torch.equal(torch.cat(streamed, dim=-1), codec.encode(pcm))


@pytest.mark.parametrize("extra", [1, 7, 959, 960, 961, FRAME - 1])
@torch.no_grad()
def test_a_partial_last_frame_ends_the_stream(codec: Mimi, pcm: Tensor, extra: int) -> None:
    pcm = pcm[..., : 9 * FRAME + extra]
    state = codec.new_encoder_state(pcm.shape[0])
    pieces = pcm.split(4 * FRAME, dim=-1)
    streamed = torch.cat([codec.latent(piece, state) for piece in pieces], dim=-1)
    assert streamed.shape[-1] == 10
    torch.testing.assert_close(streamed, codec.latent(pcm), atol=1e-4, rtol=1e-4)


def test_angles_are_computed_once_a_pass(codec: Mimi, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(positions: Tensor, frequencies: Tensor) -> tuple[Tensor, Tensor]:
        calls.append(positions.tolist())
        return rotation(positions, frequencies)

    monkeypatch.setattr("causerie.codec.transformer.rotation", counted)
    transformer = codec.encoder_transformer
    state = transformer.new_state(1)
    for size in (3, 2):
        transformer(torch.randn(1, codec.config.dim, size), state)
    assert calls == [[0, 1, 2], [3, 4]]  # for all layers together
    assert [layer.position for layer in state] == [5] * codec.config.num_layers


def test_streams_in_a_batch_do_not_mix(codec: Mimi, codes: Tensor) -> None:
    alone = codec.decode(codes[1:, :, :9])
    torch.testing.assert_close(codec.decode(codes[..., :9])[1:], alone, atol=1e-4, rtol=1e-4)


def test_the_window_is_250_steps(codec: Mimi, codes: Tensor) -> None:
    """A change 126 frames ago has an effect through the window's keys, not beyond it."""
    changed = codes.clone()
    changed[..., 0] = (changed[..., 0] + 1) % tiny.CODEBOOK_SIZE
    difference = (codec.decode(codes) - codec.decode(changed)).abs().amax(dim=(0, 1))
    per_frame = difference.view(NUM_FRAMES, FRAME).amax(-1)
    assert per_frame[100] > 1e-5
    # Two layers see 2 · 249 steps back, so with two layers nothing here is out of reach; one
    # layer's window shows in the attention alone.
    transformer = codec.decoder_transformer
    attention = transformer.layers[0].attention
    x = torch.randn(1, 300, codec.config.dim)
    cos, sin = transformer.rotation(0, 300, x.device)
    moved = x.clone()
    moved[:, 0] += 1
    gap = (attention(x, cos, sin) - attention(moved, cos, sin)).abs().amax(dim=(0, 2))
    assert gap[249] > 0
    assert gap[250:].max() == 0
