"""A Llama-style transformer over embedded inputs, for the backbone and the depth decoder.

It has no embedding and no head; those are in `csm.py`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causerie.config import LlamaConfig
from causerie.nn.attention import causal_attention
from causerie.nn.backends import without_plans
from causerie.nn.kv_cache import KVCache
from causerie.nn.rope import inverse_frequencies, rotate, rotation


class RMSNorm(nn.Module):
    """Root-mean-square norm: fp32 inside, cast back, then scaled (the order of the original)."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), x.shape[-1:], eps=self.eps).to(x.dtype) * self.weight


class Attention(nn.Module):
    """Causal grouped-query attention: query head q reads key head q // (H/G)."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        queries, keys = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
        self.q_proj = nn.Linear(config.dim, queries, bias=False)
        self.k_proj = nn.Linear(config.dim, keys, bias=False)
        self.v_proj = nn.Linear(config.dim, keys, bias=False)
        self.o_proj = nn.Linear(queries, config.dim, bias=False)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, cache: KVCache | None, layer: int
    ) -> Tensor:
        num_new = x.shape[1]
        q, k, v = (  # (B, heads, S, E)
            projection(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if cache is None:
            out = causal_attention(q, k, v)
        else:
            k, v = cache.append(layer, k, v)
            num_old = k.shape[2] - num_new
            mask = None
            if num_old and num_new > 1:  # SDPA's is_causal aligns its mask to the first key
                mask = torch.ones(num_new, k.shape[2], dtype=torch.bool, device=x.device)
                mask = mask.tril(num_old)
            with without_plans():
                out = F.scaled_dot_product_attention(
                    q, k, v, attn_mask=mask, is_causal=not num_old and num_new > 1, enable_gqa=True
                )
        projected: Tensor = self.o_proj(out.transpose(1, 2).flatten(2))
        return projected


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.dim, config.ffn_dim, bias=False)
        self.up_proj = nn.Linear(config.dim, config.ffn_dim, bias=False)
        self.down_proj = nn.Linear(config.ffn_dim, config.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Block(nn.Module):
    """One pre-norm layer."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.attention = Attention(config)
        self.ffn_norm = RMSNorm(config.dim, config.norm_eps)
        self.ffn = FeedForward(config)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, cache: KVCache | None, layer: int
    ) -> Tensor:
        x = x + self.attention(self.attention_norm(x), cos, sin, cache, layer)
        out: Tensor = x + self.ffn(self.ffn_norm(x))
        return out


class Llama(nn.Module):
    """Layers and a final norm."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self._frequencies: dict[torch.device, Tensor] = {}  # outside .to(dtype): always fp32

    def forward(self, x: Tensor, cache: KVCache | None = None) -> Tensor:
        """Hidden states after the final norm.

        Args:
            x: embedded inputs (B, S, D) at the positions after those in `cache`.
            cache: extended in place by S positions; None starts at position 0 and stores nothing.

        Returns:
            (B, S, D).
        """
        start = cache.length if cache is not None else 0
        positions = torch.arange(start, start + x.shape[1], device=x.device)
        cos, sin = rotation(positions, self._frequencies_on(x.device))
        for index, layer in enumerate(self.layers):
            x = layer(x, cos, sin, cache, index)
        if cache is not None:
            cache.advance(x.shape[1])
        out: Tensor = self.norm(x)
        return out

    def _frequencies_on(self, device: torch.device) -> Tensor:
        if device not in self._frequencies:
            config = self.config
            self._frequencies[device] = inverse_frequencies(
                config.head_dim, config.rope_theta, config.rope_scaling
            ).to(device)
        return self._frequencies[device]
