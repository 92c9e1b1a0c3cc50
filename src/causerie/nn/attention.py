"""Causal attention over whole sequences, with gradients.

Plain matrix products, and torch's fused kernel, which keeps no S × S scores for the way back. On
the CPU the plain one is used: there the fused kernel takes ten times as long backwards at the
lengths that training has. With a KV cache (generation) the fused kernel is the faster on the CPU
too; the test of cached against uncached runs compares the two.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from causerie.nn.backends import without_plans


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention of queries (B, H, S, E) over keys and values (B, G, S, E), G dividing H."""
    return fused_attention(q, k, v) if q.is_cuda else plain_attention(q, k, v)


def plain_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """`causal_attention` by matrix products."""
    num_rows, num_heads, length, head_dim = q.shape
    num_groups = k.shape[1]
    in_group = num_heads // num_groups * length  # not -1, which would be ambiguous without rows
    grouped = q.reshape(num_rows, num_groups, in_group, head_dim)  # the heads of a group as rows
    scores = (grouped @ k.transpose(-1, -2)).view(num_rows, num_heads, length, length)
    future = torch.full((length, length), -math.inf, device=q.device).triu(1)
    weights = (scores.float() / math.sqrt(head_dim) + future).softmax(dim=-1).to(v.dtype)
    return (weights.view(num_rows, num_groups, in_group, length) @ v).view(q.shape)


def fused_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """`causal_attention` by torch's fused kernel."""
    with without_plans():  # batches have any shape
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
