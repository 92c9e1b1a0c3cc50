"""Discriminators of waveforms and of spectra, and the hinge and feature-matching losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from codec_training import distributed

#: Outputs of the layers of one scale; the last are the scores.
Features = list[Tensor]

#: Magnitudes are raised to this power; phases are kept. Without it the discriminator hardly sees
#: the soft parts of speech: after 60 steps its hinge loss is 1.87 (2 is chance), with it 0.97.
EXPONENT = 0.3
FLOOR = 1e-5  # added to powers before they are raised


class ScaleDiscriminator(nn.Module):
    """2-D convolutions over a complex spectrogram of one window length."""

    window: Tensor

    def __init__(self, n_fft: int, channels: int) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        shapes = [(2, channels, 1), *((channels, channels, 2**i) for i in range(3))]
        self.layers = nn.ModuleList(
            weight_norm(
                nn.Conv2d(inside, outside, (3, 9), stride=(1, 2), dilation=(d, 1), padding=(d, 4))
            )
            for inside, outside, d in shapes
        )
        self.score = weight_norm(nn.Conv2d(channels, 1, (3, 3), padding=1))

    def forward(self, pcm: Tensor) -> Features:
        """Features of waveforms (B, 1, N)."""
        spectrum = torch.stft(
            pcm[:, 0], self.n_fft, self.n_fft // 4, window=self.window, return_complex=True
        )
        x = torch.view_as_real(spectrum).permute(0, 3, 2, 1) * (2 / self.n_fft**0.5)
        x = x * (x.square().sum(1, keepdim=True) + FLOOR).pow((EXPONENT - 1) / 2)
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.3)
            features.append(x)
        return [*features, self.score(x)]


class Discriminator(nn.Module):
    """One `ScaleDiscriminator` per window length."""

    def __init__(self, windows: tuple[int, ...] = (1024, 512, 256), channels: int = 16) -> None:
        super().__init__()
        self.scales = nn.ModuleList(ScaleDiscriminator(n_fft, channels) for n_fft in windows)

    def forward(self, pcm: Tensor) -> list[Features]:
        return [scale(pcm) for scale in self.scales]


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
        self, real: Sequence[Tensor], fake: Sequence[Tensor], *, autocasts: bool = False
    ) -> tuple[Tensor, Tensor, float]:
        """Take a step; return the generator's adversarial and feature losses, and its own loss.

        Args:
            real, fake: inputs of the module.
            autocasts: compute in bfloat16.
        """
        autocast = torch.autocast(real[0].device.type, torch.bfloat16, enabled=autocasts)
        with autocast:
            seen = self.module(*real), self.module(*(one.detach() for one in fake))
            own = discriminator_loss(*seen)
        self.optimizer.zero_grad()
        own.backward()
        distributed.average_gradients(self.module.parameters())
        self.optimizer.step()
        with autocast:
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
    """The codec's loss: the negative mean of the fake scores."""
    return -torch.stack([f[-1].mean() for f in fake]).mean()


def feature_loss(real: list[Features], fake: list[Features]) -> Tensor:
    """Mean absolute difference of the layers' outputs, relative to the real outputs."""
    terms = [
        F.l1_loss(b, a.detach()) / a.detach().abs().mean().clamp(min=1e-5)
        for r, f in zip(real, fake, strict=True)
        for a, b in zip(r[:-1], f[:-1], strict=True)
    ]
    return torch.stack(terms).mean()
