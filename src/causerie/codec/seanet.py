"""SEANet: the convolutional encoder and decoder between the waveform and the 25 Hz latent."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from causerie.codec.conv import CausalConv1d, CausalConvTranspose1d
from causerie.config import MimiConfig


class ResidualBlock(nn.Module):
    """``x + conv1(ELU(conv3(ELU(x))))``, narrowed inside."""

    def __init__(self, channels: int, config: MimiConfig) -> None:
        super().__init__()
        hidden = channels // config.compress
        self.narrow = CausalConv1d(channels, hidden, config.residual_kernel)
        self.widen = CausalConv1d(hidden, channels, 1)

    def new_state(self, batch: int) -> Tensor:
        return self.narrow.new_state(batch)

    def forward(self, x: Tensor, state: Tensor | None = None) -> Tensor:
        out: Tensor = x + self.widen(F.elu(self.narrow(F.elu(x), state)))
        return out


class SEANet(nn.Module):
    """A chain of causal layers; the state is one tensor per layer, in order."""

    layers: nn.ModuleList

    def new_state(self, batch: int) -> list[Tensor]:
        """Fresh streaming state: every stream starts from silence."""
        return [layer.new_state(batch) for layer in self.layers]  # type: ignore[operator]

    def forward(self, x: Tensor, state: Sequence[Tensor] | None = None) -> Tensor:
        """The output for one chunk (B, C, N), or for a whole input where `state` is None."""
        for index, layer in enumerate(self.layers):
            if index and not isinstance(layer, ResidualBlock):
                x = F.elu(x)
            x = layer(x, None if state is None else state[index])
        return x


class Encoder(SEANet):
    """Waveform (B, 1, N) → latent (B, D, N / stride)."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        channels = config.num_filters
        layers: list[nn.Module] = [CausalConv1d(1, channels, config.kernel)]
        for ratio in reversed(config.ratios):
            layers.append(ResidualBlock(channels, config))
            layers.append(CausalConv1d(channels, 2 * channels, 2 * ratio, stride=ratio))
            channels *= 2
        layers.append(CausalConv1d(channels, config.dim, config.last_kernel))
        self.layers = nn.ModuleList(layers)


class Decoder(SEANet):
    """Latent (B, D, T) → waveform (B, 1, T · stride)."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        channels = config.num_filters * 2 ** len(config.ratios)
        layers: list[nn.Module] = [CausalConv1d(config.dim, channels, config.kernel)]
        for ratio in config.ratios:
            layers.append(CausalConvTranspose1d(channels, channels // 2, 2 * ratio, stride=ratio))
            channels //= 2
            layers.append(ResidualBlock(channels, config))
        layers.append(CausalConv1d(channels, 1, config.last_kernel))
        self.layers = nn.ModuleList(layers)
