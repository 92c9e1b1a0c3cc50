"""Rotary position embedding in the half-split layout: features j and j + E/2 form a pair.

Checkpoints that turn neighbouring features (2j, 2j+1) are permuted when they are loaded
(`causerie.checkpoint.keymap`). Angles are fp32 whatever the model's dtype: in bf16 the cosine at
position 2,047 is wrong by up to 1.6.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from causerie.config import RopeScaling


def inverse_frequencies(head_dim: int, theta: float, scaling: RopeScaling | None) -> Tensor:
    """Radians per position for each pair of features, (E/2,) fp32.

    With `scaling`, as Llama 3.1 and torchtune's ``Llama3ScaledRoPE`` do it.
    """
    exponent = torch.arange(0, head_dim, 2, dtype=torch.int64).float() / head_dim
    frequencies = 1.0 / (theta**exponent)
    if scaling is None:
        return frequencies
    wavelengths = 2 * math.pi / frequencies
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    blend = (scaling.original_length / wavelengths - low) / (high - low)
    blended = (1 - blend) * frequencies / scaling.factor + blend * frequencies
    scaled = torch.where(
        wavelengths > scaling.original_length / low, frequencies / scaling.factor, blended
    )
    return torch.where(wavelengths < scaling.original_length / high, frequencies, scaled)


def rotation(positions: Tensor, frequencies: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine, each (S, E/2) fp32, of positions (S,)."""
    angles = positions.float()[:, None] * frequencies[None, :]
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Queries or keys x (B, H, S, E) rotated by the angles of `rotation`, in fp32."""
    first, second = x.float().chunk(2, dim=-1)
    turned = torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
    return turned.to(x.dtype)
