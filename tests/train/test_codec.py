"""Codec training: codebooks follow their vectors, losses fall, killed runs continue exactly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from causerie.codec.mimi import Mimi
from causerie.codec.rvq import Branch, nearest
from causerie.config import MimiConfig
from causerie.errors import ConfigError
from causerie.train.codec import CodecRecipe, train_codec
from causerie.train.losses import log_mel, multi_scale_mel
from causerie.train.quantizer import BranchTrainer
from tests.train.killed import run_and_kill
from tests.train.speech import write_speech_folder

TINY = MimiConfig(
    num_filters=4, dim=16, ratios=(4, 5, 6, 8), num_layers=1, num_heads=2, ffn_dim=32,
    num_codebooks=3, codebook_size=16, codebook_dim=8,
)  # fmt: skip
RECIPE = CodecRecipe(
    phase="quantizer", steps=6, batch=2, window_frames=6, quantize_from=2, autocast=False
)


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


def test_zero_acoustic_codebooks_give_exactly_nothing() -> None:
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


@pytest.mark.parametrize("phase", ["quantizer", "decoder"])
def test_a_killed_run_continues_to_the_bit(tmp_path: Path, phase: str) -> None:
    data = write_speech_folder(tmp_path / "speech")
    recipe = dataclasses.replace(RECIPE, phase=phase, adversarial_from=3, noisy_codes=0.3)
    start = None
    if phase == "decoder":
        torch.manual_seed(0)
        start = Mimi(TINY).state_dict()
        start["quantizer.semantic.centroids"].normal_()
        start["quantizer.acoustic.centroids"].normal_()
    whole = train_codec(TINY, recipe, data, tmp_path / "whole", start_from=start)
    run_and_kill(
        lambda kill: train_codec(
            TINY, recipe, data, tmp_path / "part", start_from=start, on_step=kill
        )
    )
    resumed = train_codec(TINY, recipe, data, tmp_path / "part", start_from=start)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    data = write_speech_folder(tmp_path / "speech")
    seen: list[dict[str, float]] = []
    recipe = dataclasses.replace(RECIPE, steps=60, lr=3e-3, warmup=5, quantize_from=20)
    train_codec(
        TINY, recipe, data, tmp_path / "out", on_step=lambda step, numbers: seen.append(numbers)
    )
    spectra = [next(v for k, v in n.items() if k.startswith("spectrum")) for n in seen]
    assert sum(spectra[-10:]) < 0.6 * sum(spectra[:10])


def test_an_unknown_phase_is_refused() -> None:
    with pytest.raises(ConfigError, match="phase"):
        CodecRecipe(phase="both", steps=1)
