"""A small phone recognizer, and the distance between two waveforms by its features and logits.

Spectral distances accept the mean of two sounds, which is neither of them; a recognizer does not.
So the codec's decoder also learns from a phone recognizer trained on the same aligned speech. Only
training uses the recognizer; it is not part of the codec.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causerie.train import spectral_losses
from causerie.train.loop import OnStep
from codec_training import distributed
from codec_training.aligned_speech import SYMBOLS, SpeechFolder
from codec_training.windows import WindowRecipe, train_on_windows

LABEL_RATE = 50  # labels per second
NUM_MELS, MEL_FFT = 80, 768
DILATIONS = (1, 2, 1, 4, 1, 2)
MEAN_LOG, SPREAD_LOG = -4.5, 1.5  # of log mels of speech


@dataclass(frozen=True, kw_only=True)
class RecognizerRecipe(WindowRecipe):
    """Everything a run depends on, apart from the data."""

    batch: int = 16
    window_s: float = 2.0
    lr: float = 1e-3
    warmup: int = 50


class Block(nn.Module):
    """``x + conv1(GELU(conv3(GELU(norm(x)))))``, dilated and not causal."""

    def __init__(self, dim: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, dim)
        self.conv = nn.Conv1d(dim, dim, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv1d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.mix(F.gelu(self.conv(F.gelu(self.norm(x)))))
        return out


class PhoneRecognizer(nn.Module):
    """Convolutions over log mels that predict the labels of `SpeechFolder.labels`."""

    def __init__(self, sample_rate: int, dim: int = 256) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        self.first = nn.Conv1d(NUM_MELS, dim, 5, padding=2)
        self.blocks = nn.ModuleList(Block(dim, dilation) for dilation in DILATIONS)
        self.last = nn.Conv1d(dim, len(SYMBOLS) + 1, 4, stride=2, padding=1)

    def forward(self, pcm: Tensor) -> tuple[list[Tensor], Tensor]:
        """Features (B, D, 100 per second) of each block, and logits (B, phones, 50 per second)."""
        hop = self.sample_rate // (2 * LABEL_RATE)
        mel = spectral_losses.log_mel(pcm, MEL_FFT, hop, NUM_MELS, self.sample_rate)
        x = self.first((mel - MEAN_LOG) / SPREAD_LOG)
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return features, self.last(F.gelu(x)).float()


def augmentation(shape: torch.Size, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A random gain (B, 1, 1), and noise of `shape` (B, 1, N)."""
    gain = torch.exp(1.4 * distributed.rand((shape[0], 1, 1), generator) - 0.7)
    decibels = -38 - 30 * distributed.rand((shape[0], 1, 1), generator)
    return gain, distributed.randn(shape, generator) * 10 ** (decibels / 20)


def recognizer_distance(
    recognizer: PhoneRecognizer, decoded: Tensor, original: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The recognizer's distance between two waveforms (B, 1, N), with the same noise added.

    Returns:
        The mean relative difference of features, and the divergence of phones in nats per label.
    """
    _, noise = augmentation(original.shape, generator)
    with torch.no_grad():
        features, logits = recognizer(original + noise)
    found_features, found_logits = recognizer(decoded + noise)
    difference = torch.stack(
        [
            (found - true).abs().mean() / true.abs().mean()
            for found, true in zip(found_features, features, strict=True)
        ]
    ).mean()
    log_found, log_true = found_logits.log_softmax(1), logits.log_softmax(1)
    divergence = F.kl_div(log_found, log_true, log_target=True, reduction="none").sum(1).mean()
    return difference, divergence


class RecognizerPhase:
    """Loss of recognizer training."""

    def __init__(self, recognizer: PhoneRecognizer, recipe: RecognizerRecipe) -> None:
        self.recognizer, self.recipe = recognizer, recipe
        self.modules: dict[str, nn.Module] = {"recognizer": recognizer}
        self.parameters = list(recognizer.parameters())

    def __call__(
        self, step: int, pcm: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        gain, noise = augmentation(pcm.shape, generator)
        with torch.autocast(pcm.device.type, torch.bfloat16, enabled=self.recipe.autocasts):
            _, logits = self.recognizer(gain * pcm + noise)
        error = F.cross_entropy(logits, labels)
        right = (logits.argmax(1) == labels).float().mean()
        return error, {"phones": error.item(), "right": right.item()}

    def extra_state(self) -> dict[str, Any]:
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        assert not state


def train_recognizer(
    recipe: RecognizerRecipe,
    data: Path,
    out: Path,
    sample_rate: int,
    *,
    on_step: OnStep | None = None,
    allow_changes: bool = False,
) -> PhoneRecognizer:
    """Train up to ``recipe.steps``, resuming from ``out/state.pt`` if it exists."""
    torch.manual_seed(recipe.seed)
    phase = RecognizerPhase(PhoneRecognizer(sample_rate), recipe)
    train_on_windows(
        phase,
        recipe,
        SpeechFolder(data, sample_rate),
        out,
        num_samples=round(recipe.window_s * sample_rate),
        label_rate=LABEL_RATE,
        on_step=on_step,
        allow_changes=allow_changes,
    )
    return phase.recognizer
