"""Codec training: codebooks follow their vectors, losses fall, killed runs continue exactly."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from codec_training.aligned_speech import SpeechFolder
from codec_training.encoder import EncoderRecipe, first_codebooks, train_encoder
from codec_training.phone_recognizer import (
    PhoneRecognizer,
    RecognizerRecipe,
    recognizer_distance,
    train_recognizer,
)
from codec_training.quantizer import BranchTrainer
from codec_training.whole_codec import CodecPhase, CodecRecipe, finished_weights, train_codec
from encoded_speech import EncodedSpeech
from torch import nn

from causerie.codec.mimi import Mimi
from causerie.codec.rvq import Branch, nearest
from causerie.config import MimiConfig
from causerie.train.loop import OnStep
from causerie.train.spectral_losses import log_mel, multi_scale_mel
from tests.recipes.speech import write_speech_folder
from tests.train.killed import run_and_kill

Weights = dict[str, torch.Tensor]
TINY = MimiConfig(
    num_filters=4, dim=16, ratios=(4, 5, 6, 8), num_layers=1, num_heads=2, ffn_dim=32,
    num_codebooks=3, codebook_size=16, codebook_dim=8,
)  # fmt: skip
ENCODER = EncoderRecipe(steps=6, batch=2, window_frames=6, quantize_from=2, autocast=False)
CODEC = CodecRecipe(steps=6, batch=2, window_frames=6, autocast=False)
RECOGNIZER = RecognizerRecipe(steps=6, batch=2, window_s=0.4, autocast=False)


def test_codebooks_find_clusters_and_gradients_pass_straight_through() -> None:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    branch = Branch(dataclasses.replace(TINY, codebook_size=64), 2)
    with torch.no_grad():
        branch.input_proj.weight.copy_(torch.eye(8, 16)[..., None])
    trainer = BranchTrainer(branch)
    clusters = 3 * torch.randn(16, 16, generator=generator)
    for _ in range(200):
        pick = torch.randint(16, (4, 32), generator=generator)
        noise = 0.05 * torch.randn(4, 32, 16, generator=generator)
        latent = (clusters[pick] + noise).transpose(1, 2).requires_grad_()
        out, commitment = trainer(latent, 2, generator)
    vectors = clusters[:, :8]
    found = branch.centroids[0][nearest(vectors, branch.centroids[0])]
    assert (found - vectors).abs().max() < 0.2
    gradient = torch.autograd.grad(out.sum(), latent)[0]
    expected = torch.autograd.grad(branch.output_proj(branch.input_proj(latent)).sum(), latent)[0]
    torch.testing.assert_close(gradient, expected)
    assert commitment.item() < 0.1


def test_zero_acoustic_codebooks_give_zeros() -> None:
    branch = Branch(TINY, 2)
    trainer = BranchTrainer(branch)
    out, _ = trainer(torch.randn(2, 16, 40), 0, torch.Generator().manual_seed(0))
    assert not out.any()


def test_mel_distances_ignore_sign_and_see_frequency() -> None:
    time = torch.arange(24_000) / 24_000
    tone = 0.5 * torch.sin(2 * torch.pi * 440 * time)[None, None]
    other = 0.5 * torch.sin(2 * torch.pi * 620 * time)[None, None]
    assert multi_scale_mel(-tone, tone, 24_000).item() < 1e-6
    assert multi_scale_mel(other, tone, 24_000).item() > 0.1
    assert log_mel(tone, 1024, 240, 80, 24_000).shape == (1, 80, 100)


def encoded(data: Path, codec: Mimi) -> EncodedSpeech:
    folder = SpeechFolder(data, 24_000)
    codes = [
        codec.encode(torch.from_numpy(folder.waveform(u, 0, u.num_samples))[None, None])[0].T
        for u in folder.utterances
    ]
    return EncodedSpeech.of(folder.utterances, [rows.numpy() for rows in codes])


def codec_with_codebooks() -> Mimi:
    torch.manual_seed(0)
    codec = Mimi(TINY)
    for branch in (codec.quantizer.semantic, codec.quantizer.acoustic):
        branch.centroids.normal_()
    return codec


def assert_resumes_exactly(train: Callable[[Path, OnStep | None], nn.Module], at: Path) -> None:
    """`train`, killed and started again, ends with the weights of a run that was not killed."""
    whole = train(at / "whole", None)
    run_and_kill(lambda kill: train(at / "part", kill))
    resumed = train(at / "part", None).state_dict()
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed[name]), name


def test_a_killed_encoder_run_resumes_exactly(tmp_path: Path) -> None:
    data = write_speech_folder(tmp_path / "speech")
    assert_resumes_exactly(
        lambda out, on_step: train_encoder(TINY, ENCODER, data, out, on_step=on_step), tmp_path
    )


def test_a_killed_recognizer_run_resumes_exactly(tmp_path: Path) -> None:
    data = write_speech_folder(tmp_path / "speech")
    assert_resumes_exactly(
        lambda out, on_step: train_recognizer(RECOGNIZER, data, out, 24_000, on_step=on_step),
        tmp_path,
    )


def test_a_killed_codec_run_resumes_exactly(tmp_path: Path) -> None:
    data = write_speech_folder(tmp_path / "speech")
    listener = PhoneRecognizer(24_000, dim=8)
    assert_resumes_exactly(
        lambda out, on_step: train_codec(TINY, CODEC, data, listener, out, on_step=on_step),
        tmp_path,
    )


def moved_parts(before: Weights, after: Mimi) -> set[str]:
    moved = {name for name, tensor in after.state_dict().items() if tensor.ne(before[name]).any()}
    return {name.split(".")[0] for name in moved}


def test_codec_training_starts_from_the_encoder(tmp_path: Path) -> None:
    data = write_speech_folder(tmp_path / "speech")
    sizes = dataclasses.replace(TINY, num_codebooks=5)
    train_encoder(sizes, ENCODER, data, tmp_path / "encoder")
    start = first_codebooks(tmp_path / "encoder/state.pt", TINY.num_codebooks)
    assert not any(name.startswith("decoder.") for name in start["codec"])
    recipe = dataclasses.replace(CODEC, steps=0)
    untouched = train_codec(
        TINY, recipe, data, PhoneRecognizer(24_000, dim=8), tmp_path / "none", start_from=start
    )
    for name, tensor in start["codec"].items():
        assert torch.equal(untouched.state_dict()[name], tensor), name
    before = {name: tensor.clone() for name, tensor in untouched.state_dict().items()}
    after = train_codec(
        TINY, CODEC, data, PhoneRecognizer(24_000, dim=8), tmp_path / "some", start_from=start
    )
    assert moved_parts(before, after) == {
        "encoder", "encoder_transformer", "downsample", "quantizer",
        "upsample", "decoder_transformer", "decoder",
    }  # fmt: skip


def test_the_decoder_s_losses_reach_the_encoder() -> None:
    recipe = dataclasses.replace(CODEC, spectrum_weight=0, phone_weight=0, commitment_weight=0)
    codec = codec_with_codebooks()
    phase = CodecPhase(codec, PhoneRecognizer(24_000, dim=8), recipe, ready=True)
    pcm, labels = 0.1 * torch.randn(2, 1, 4 * 1920), torch.zeros(2, 16, dtype=torch.long)
    total, _ = phase(0, pcm, labels, torch.Generator().manual_seed(0))
    total.backward()
    first = next(codec.encoder.parameters()).grad
    assert first is not None
    assert first.abs().max() > 0


def test_the_rarest_code_becomes_code_0_of_codebook_0(tmp_path: Path) -> None:
    codec = {"quantizer.semantic.centroids": torch.arange(12.0).reshape(1, 4, 3)}
    extra = {"semantic": {"usage": torch.tensor([[3.0, 2.0, 0.5, 1.0]])}}
    torch.save({"modules": {"codec": codec}, "extra": extra}, tmp_path / "state.pt")
    weights = finished_weights(tmp_path / "state.pt")
    assert weights["quantizer.semantic.centroids"][0, :, 0].tolist() == [6, 3, 0, 9]


def test_the_recognizer_learns_and_measures_differences(tmp_path: Path) -> None:
    data = write_speech_folder(tmp_path / "speech")
    seen: list[float] = []
    recipe = dataclasses.replace(RECOGNIZER, steps=60, warmup=5)
    recognizer = train_recognizer(
        recipe, data, tmp_path / "out", 24_000, on_step=lambda step, n: seen.append(n["phones"])
    )
    assert sum(seen[-10:]) < 0.7 * sum(seen[:10])
    folder = SpeechFolder(data, 24_000)
    wave = torch.from_numpy(folder.waveform(folder.utterances[0], 0, 9_600))[None, None]

    def distance(other: torch.Tensor) -> list[float]:
        both = recognizer_distance(recognizer, other, wave, torch.Generator().manual_seed(0))
        return [value.item() for value in both]

    assert distance(wave) == pytest.approx([0, 0], abs=1e-6)
    nearly, silence = distance(0.9 * wave), distance(0 * wave)
    assert 0 < nearly[0] < silence[0]
    assert 0 < nearly[1] < silence[1]


def test_saved_encoded_speech_is_loaded(tmp_path: Path) -> None:
    data = write_speech_folder(tmp_path / "speech", voices=("ann", "bob"))
    speech = encoded(data, codec_with_codebooks())
    assert speech.voices == ["ann", "bob"] * 3
    speech.save(tmp_path / "codes.npz")
    again = EncodedSpeech.load(tmp_path / "codes.npz")
    for name in ("texts", "phonemes", "voices", "conversations"):
        assert getattr(again, name) == getattr(speech, name)
    for name in ("codes", "starts", "turns"):
        assert np.array_equal(getattr(again, name), getattr(speech, name))


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    data = write_speech_folder(tmp_path / "speech")
    seen: list[dict[str, float]] = []
    recipe = dataclasses.replace(ENCODER, steps=60, lr=3e-3, warmup=5, quantize_from=20)
    train_encoder(
        TINY, recipe, data, tmp_path / "out", on_step=lambda step, numbers: seen.append(numbers)
    )
    spectra = [next(v for k, v in n.items() if k.startswith("spectrum")) for n in seen]
    assert sum(spectra[-10:]) < 0.6 * sum(spectra[:10])
