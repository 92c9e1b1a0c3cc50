"""Causal attention by plain matrix products, for whole sequences with gradients.

On the CPU torch's fused kernel takes ten times as long backwards at the lengths that training
has. With a KV cache (generation) the fused kernel is the faster; the test of cached against
uncached runs compares the two.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention of queries (B, H, S, E) over keys and values (B, G, S, E), G dividing H."""
    num_rows, num_heads, length, head_dim = q.shape
    num_groups = k.shape[1]
    in_group = num_heads // num_groups * length  # not -1, which no rows at all would leave open
    grouped = q.reshape(num_rows, num_groups, in_group, head_dim)  # the heads of a group, in rows
    scores = (grouped @ k.transpose(-1, -2)).view(num_rows, num_heads, length, length)
    future = torch.full((length, length), -math.inf, device=q.device).triu(1)
    weights = (scores.float() / math.sqrt(head_dim) + future).softmax(dim=-1).to(v.dtype)
    return (weights.view(num_rows, num_groups, in_group, length) @ v).view(q.shape)
