"""Int8: the nearest numbers, with one scale per row."""

from __future__ import annotations

import torch

from causerie.nn.int8 import Int8


def test_each_number_is_within_half_a_step() -> None:
    torch.manual_seed(0)
    weights = torch.randn(2, 5, 64) * torch.logspace(-3, 3, 5)[:, None]
    kept = Int8.of(weights)
    assert kept.numbers.dtype == torch.int8
    assert kept.numbers.abs().amax(dim=-1).eq(127).all()
    step = weights.abs().amax(dim=-1, keepdim=True) / 127
    assert ((kept.to(torch.float32) - weights).abs() <= step * 0.5001).all()


def test_a_row_of_zeros_stays_so() -> None:
    weights = torch.zeros(2, 3, dtype=torch.bfloat16)
    weights[0, 1] = -2
    assert torch.equal(Int8.of(weights).to(torch.bfloat16), weights)
