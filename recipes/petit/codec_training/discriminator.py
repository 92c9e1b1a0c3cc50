"""Discriminators of spectra, and the hinge and feature-matching losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from codec_training import distributed

#: Outputs of the layers of one spectrum's discriminator; the last are the scores.
Features = list[Tensor]


class SpectrumDiscriminator(nn.Module):
    """2-D convolutions over a log spectrum and its change over time."""

    def __init__(self, channels: int = 24) -> None:
        super().__init__()
        c = channels
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(inside, outside, kernel, stride, padding))
            for inside, outside, kernel, stride, padding in (
                (2, c, 5, (2, 1), 2),
                (c, c, 5, (2, 1), 2),
                (c, 2 * c, 5, (2, 2), 2),
                (2 * c, 2 * c, 3, 1, 1),
            )
        )
        self.score = weight_norm(nn.Conv2d(2 * c, 1, 3, padding=1))

    def forward(self, spectrum: Tensor) -> Features:
        """Features of spectra (B, bands, N) with mean 0 and deviation 1."""
        change = F.pad(spectrum[..., 1:] - spectrum[..., :-1], (1, 0))
        x = torch.stack((spectrum, 2 * change), dim=1)
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return [*features, self.score(x)]


class SpectraDiscriminator(nn.Module):
    """One `SpectrumDiscriminator` per spectrum."""

    def __init__(self, num_spectra: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(SpectrumDiscriminator() for _ in range(num_spectra))

    def forward(self, *spectra: Tensor) -> list[Features]:
        return [part(spectrum) for part, spectrum in zip(self.parts, spectra, strict=True)]


class Adversary:
    """A discriminator that learns with each batch that it judges.

    Args:
        module: inputs → features of each of its parts.
    """

    def __init__(self, module: nn.Module, lr: float) -> None:
        self.module = module
        self.optimizer = torch.optim.AdamW(module.parameters(), lr=lr, betas=(0.5, 0.9))

    def __call__(
        self, real: Sequence[Tensor], fake: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, float]:
        """Take a step; return the generator's adversarial and feature losses, and its own loss.

        Args:
            real, fake: inputs of the module.
        """
        own = discriminator_loss(self.module(*real), self.module(*(one.detach() for one in fake)))
        self.optimizer.zero_grad()
        own.backward()
        distributed.average_gradients(self.module.parameters())
        self.optimizer.step()
        with torch.no_grad():
            judged = self.module(*real)
        features = self.module(*fake)
        return adversarial_loss(features), feature_loss(judged, features), own.item()

    def state_dict(self) -> dict[str, Any]:
        """State of the optimizer."""
        return self.optimizer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state)


def discriminator_loss(real: list[Features], fake: list[Features]) -> Tensor:
    """Hinge: real scores above 1, fake ones below -1."""
    terms = [
        F.relu(1 - r[-1]).mean() + F.relu(1 + f[-1]).mean() for r, f in zip(real, fake, strict=True)
    ]
    return torch.stack(terms).mean()


def adversarial_loss(fake: list[Features]) -> Tensor:
    """The decoder's loss: the negative mean of the fake scores."""
    return -torch.stack([f[-1].mean() for f in fake]).mean()


def feature_loss(real: list[Features], fake: list[Features]) -> Tensor:
    """Mean absolute difference of the layers' outputs, relative to the real outputs."""
    terms = [
        F.l1_loss(b, a.detach()) / a.detach().abs().mean().clamp(min=1e-5)
        for r, f in zip(real, fake, strict=True)
        for a, b in zip(r[:-1], f[:-1], strict=True)
    ]
    return torch.stack(terms).mean()
