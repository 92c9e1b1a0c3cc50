"""Mimi against transformers and moshi, with weights through the production converters.

transformers pads a partial last frame layer by layer, as the moshi that CSM was trained with;
moshi 0.2.13 pads the waveform. Their streaming is no reference: transformers cannot stream the
decoder, and moshi's attention loses keys after 125 frames.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from moshi.models.compression import MimiModel as MoshiMimi
from safetensors.torch import load_file, save_file
from torch import Tensor

from causerie.checkpoint import load_codec
from causerie.codec.mimi import Mimi
from causerie.errors import CheckpointError
from tests import tiny
from tests.parity import references
from tests.parity.references import FRAME

if TYPE_CHECKING:
    from transformers import MimiModel  # the import of transformers' models takes seconds

CLOSE = {"atol": 1e-4, "rtol": 1e-4}
LENGTHS = [1000, FRAME, 8 * FRAME - 1, 8 * FRAME, 8 * FRAME + 1, 24_000]
NUM_FRAMES = 143  # 286 steps of the transformers, whose context is 250


@pytest.fixture(scope="module")
def transformers() -> MimiModel:
    return references.mimi_of_transformers()


@pytest.fixture(scope="module")
def from_transformers(transformers: MimiModel, tmp_path_factory: pytest.TempPathFactory) -> Mimi:
    return load_codec(references.save(transformers, tmp_path_factory.mktemp("mimi")))


@pytest.fixture(scope="module")
def moshi() -> MoshiMimi:
    return references.mimi_of_moshi()


@pytest.fixture(scope="module")
def moshi_file(moshi: MoshiMimi, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As Kyutai published it: names older than those of moshi 0.2.13 in memory."""
    tensors = {
        name.replace("in_projs.0.weight", "in_proj_weight").replace("out_projs.0", "out_proj"): t
        for name, t in moshi.state_dict().items()
    }
    path = tmp_path_factory.mktemp("moshi") / "tokenizer-e351c8d8-checkpoint125.safetensors"
    save_file(tensors, path)
    return path


@pytest.fixture(scope="module")
def from_moshi(moshi_file: Path) -> Mimi:
    return load_codec(moshi_file, config=tiny.mimi_config())


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(5)


def random_codes(num_frames: int) -> Tensor:
    return torch.randint(tiny.CODEBOOK_SIZE, (1, tiny.NUM_CODEBOOKS, num_frames))


@pytest.mark.parametrize("length", LENGTHS)
@torch.no_grad()
def test_encoding_equals_transformers(
    transformers: MimiModel, from_transformers: Mimi, length: int
) -> None:
    pcm = torch.randn(1, 1, length)
    latent, codes = references.latent_of(transformers, pcm)
    ours = from_transformers.latent(pcm)
    assert ours.std() > 0.1
    torch.testing.assert_close(ours, latent, **CLOSE)
    assert torch.equal(from_transformers.encode(pcm), codes)


@pytest.mark.parametrize("length", LENGTHS)
@torch.no_grad()
def test_encoding_equals_moshi(moshi: MoshiMimi, from_moshi: Mimi, length: int) -> None:
    pcm = torch.randn(1, 1, length)
    padded = torch.nn.functional.pad(pcm, (0, -length % FRAME))
    latent = moshi.encode_to_latent(pcm, quantize=False)
    torch.testing.assert_close(from_moshi.latent(padded), latent, **CLOSE)
    assert torch.equal(from_moshi.encode(pcm, padding="waveform"), moshi.encode(pcm))


@pytest.mark.parametrize("num_codebooks", [1, 3, tiny.NUM_CODEBOOKS])
@torch.no_grad()
def test_decoding_equals_both(
    transformers: MimiModel,
    from_transformers: Mimi,
    moshi: MoshiMimi,
    from_moshi: Mimi,
    num_codebooks: int,
) -> None:
    codes = random_codes(9)[:, :num_codebooks]
    pcm = from_transformers.decode(codes)
    assert pcm.std() > 0.1
    torch.testing.assert_close(pcm, transformers.decode(codes).audio_values, **CLOSE)
    torch.testing.assert_close(from_moshi.decode(codes), moshi.decode(codes), **CLOSE)


@torch.no_grad()
def test_streamed_past_the_context_equals_both_offline(
    transformers: MimiModel, from_transformers: Mimi, moshi: MoshiMimi, from_moshi: Mimi
) -> None:
    pcm, codes = torch.randn(1, 1, NUM_FRAMES * FRAME), random_codes(NUM_FRAMES)
    latent, _ = references.latent_of(transformers, pcm)
    theirs = {
        from_transformers: (latent, transformers.decode(codes).audio_values),
        from_moshi: (moshi.encode_to_latent(pcm, quantize=False), moshi.decode(codes)),
    }
    for codec, (latent, waveform) in theirs.items():
        encoding, decoding = codec.new_encoder_state(), codec.new_decoder_state()
        sizes = [1, 2, 60, 64, *[1] * 16]
        latents = [
            codec.latent(piece, encoding) for piece in pcm.split([s * FRAME for s in sizes], -1)
        ]
        torch.testing.assert_close(torch.cat(latents, -1), latent, **CLOSE)
        pieces = [codec.decode_step(piece, decoding) for piece in codes.split(sizes, -1)]
        torch.testing.assert_close(torch.cat(pieces, -1), waveform, **CLOSE)


# -- names -----------------------------------------------------------------------------------


def assert_equal(one: Mimi, other: Mimi) -> None:
    ours, theirs = one.state_dict(), other.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_names_of_moshi_in_memory_and_of_old(
    moshi: MoshiMimi, from_moshi: Mimi, tmp_path: Path
) -> None:
    save_file(moshi.state_dict(), tmp_path / "memory.safetensors")
    assert_equal(load_codec(tmp_path / "memory.safetensors", config=tiny.mimi_config()), from_moshi)
    old = {
        name.replace("_initialized", "inited")
        .replace("cluster_usage", "cluster_size")
        .replace("embedding_sum", "embed_avg"): tensor
        for name, tensor in moshi.state_dict().items()
    }
    torch.save(old, tmp_path / "old.pt")
    assert_equal(load_codec(tmp_path / "old.pt", config=tiny.mimi_config()), from_moshi)


def test_names_of_transformers_in_memory(
    transformers: MimiModel, from_transformers: Mimi, tmp_path: Path
) -> None:
    save_file(transformers.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(transformers.config.to_dict()))
    assert_equal(load_codec(tmp_path), from_transformers)


@pytest.mark.parametrize("spelling", ["_{}", "parametrizations.weight.original{}"])
def test_weight_norm_is_folded(
    moshi_file: Path, from_moshi: Mimi, tmp_path: Path, spelling: str
) -> None:
    tensors = load_file(moshi_file)
    parts = ("g", "v") if "_" in spelling else ("0", "1")
    for name in [n for n in tensors if n.endswith(("conv.weight", "convtr.weight"))]:
        weight = tensors.pop(name)
        dims = tuple(range(1, weight.ndim))
        length = torch.linalg.vector_norm(weight, dim=dims, keepdim=True)
        stem = name if "_" in spelling else name.removesuffix("weight")
        tensors[stem + spelling.format(parts[0])] = length
        tensors[stem + spelling.format(parts[1])] = 3 * weight
    save_file(tensors, tmp_path / "model.safetensors")
    folded = load_codec(tmp_path / "model.safetensors", config=tiny.mimi_config())
    for name, tensor in folded.state_dict().items():
        torch.testing.assert_close(tensor, from_moshi.state_dict()[name])


def test_a_codec_of_other_sizes_counts_every_tensor(moshi_file: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_codec(moshi_file)  # of Kyutai's sizes by default
    message = str(caught.value)
    assert "201 missing: decoder_transformer.transformer.layers.2.layer_scale_1.scale" in message
    assert "111 misshapen: decoder.model.0.conv.conv.bias (64,) where (1024,)" in message
