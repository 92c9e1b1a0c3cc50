"""Weights in int8 with one scale per row: half the size of bf16."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

#: The largest integer: the range is symmetric.
LARGEST = 127


class Int8(NamedTuple):
    """One matrix or several.

    Attributes:
        numbers: (…, N, D) int8.
        scales: (…, N) fp32; row n is numbers[n] · scales[n].
    """

    numbers: Tensor
    scales: Tensor

    @classmethod
    def of(cls, weights: Tensor) -> Int8:
        """Weights (…, N, D) of any floating dtype, rounded to int8."""
        exact = weights.float()
        scales = exact.abs().amax(dim=-1) / LARGEST
        divisors = scales.clamp(min=torch.finfo(torch.float32).tiny)[..., None]
        return cls(numbers=(exact / divisors).round().to(torch.int8), scales=scales)

    def to(self, dtype: torch.dtype) -> Tensor:
        """The weights (…, N, D) in a floating dtype."""
        return (self.numbers * self.scales[..., None]).to(dtype)
