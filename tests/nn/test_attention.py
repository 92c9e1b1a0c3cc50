"""Attention over whole sequences: the fused kernel equals plain products."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from causerie.nn.attention import fused_attention, plain_attention

CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def inputs(num_rows: int, num_heads: int, num_groups: int, length: int) -> list[Tensor]:
    """Queries, keys and values."""
    torch.manual_seed(0)
    return [
        torch.randn(num_rows, heads, length, 16, requires_grad=True)
        for heads in (num_heads, num_groups, num_groups)
    ]


@pytest.mark.parametrize(("num_heads", "num_groups"), [(4, 4), (8, 2), (6, 1)])
@pytest.mark.parametrize(("num_rows", "length"), [(2, 37), (3, 1), (0, 5)])
def test_fused_is_plain_and_so_are_the_gradients(
    num_heads: int, num_groups: int, num_rows: int, length: int
) -> None:
    given = inputs(num_rows, num_heads, num_groups, length)
    plain, fused = plain_attention(*given), fused_attention(*given)
    torch.testing.assert_close(fused, plain, **CLOSE)
    wanted = torch.randn_like(plain)
    expected = torch.autograd.grad(plain, given, wanted)
    for found, gradient in zip(torch.autograd.grad(fused, given, wanted), expected, strict=True):
        torch.testing.assert_close(found, gradient, **CLOSE)


@pytest.mark.parametrize("attention", [plain_attention, fused_attention])
def test_later_positions_do_not_count(attention: type[plain_attention]) -> None:
    q, k, v = inputs(1, 4, 2, 9)
    whole = attention(q, k, v)
    cut = attention(q[:, :, :5], k[:, :, :5], v[:, :, :5])
    torch.testing.assert_close(whole[:, :, :5], cut, **CLOSE)
