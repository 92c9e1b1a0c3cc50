"""The codec's transformers over the 25 Hz latent: pre-LayerNorm, LayerScale, a sliding window."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causerie.config import MimiConfig
from causerie.nn.backends import without_plans
from causerie.nn.rope import inverse_frequencies, rotate, rotation

#: Queries per block, which bounds the score matrix of long audio.
QUERY_BLOCK = 512


class LayerState:
    """Keys and values of the last ``context - 1`` positions of one layer, and the position.

    Attributes:
        keys, values: (B, H, at most context - 1, E).
        position: of the next input, in 25 Hz steps.
    """

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.keys, self.values, self.position = keys, values, 0


class Attention(nn.Module):
    """Self-attention to the `context` latest positions, the query's own included."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.num_heads, self.context = config.num_heads, config.context
        self.qkv_proj = nn.Linear(config.dim, 3 * config.dim, bias=False)
        self.out_proj = nn.Linear(config.dim, config.dim, bias=False)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, state: LayerState | None = None
    ) -> Tensor:
        num_new = x.shape[1]
        qkv = self.qkv_proj(x).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, S, E)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if state is not None:
            k, v = torch.cat((state.keys, k), dim=2), torch.cat((state.values, v), dim=2)
            keep = max(0, k.shape[2] - (self.context - 1))
            state.keys, state.values = k[:, :, keep:], v[:, :, keep:]
            state.position += num_new
        out = self._attend(q, k, v)
        projected: Tensor = self.out_proj(out.transpose(1, 2).flatten(2))
        return projected

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention in blocks of queries; the last query has the position of the last key."""
        num_queries, num_old = q.shape[2], k.shape[2] - q.shape[2]
        blocks = []
        for start in range(0, num_queries, QUERY_BLOCK):
            end = min(num_queries, start + QUERY_BLOCK)
            first = max(0, start + num_old - (self.context - 1))  # the oldest visible key
            key_index = torch.arange(first, end + num_old, device=q.device)
            query_index = torch.arange(start + num_old, end + num_old, device=q.device)
            distance = query_index[:, None] - key_index[None, :]
            mask = (distance >= 0) & (distance < self.context)
            keys, values = (kept[:, :, first : end + num_old] for kept in (k, v))
            with without_plans():
                blocks.append(
                    F.scaled_dot_product_attention(q[:, :, start:end], keys, values, attn_mask=mask)
                )
        return torch.cat(blocks, dim=2)


class Layer(nn.Module):
    """``x += scale · attention(norm x)``, ``x += scale · ffn(norm x)``."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        dim = config.dim
        self.attention_norm = nn.LayerNorm(dim, eps=config.norm_eps)
        self.attention = Attention(config)
        self.attention_scale = nn.Parameter(torch.full((dim,), 0.01))
        self.ffn_norm = nn.LayerNorm(dim, eps=config.norm_eps)
        self.ffn_in = nn.Linear(dim, config.ffn_dim, bias=False)
        self.ffn_out = nn.Linear(config.ffn_dim, dim, bias=False)
        self.ffn_scale = nn.Parameter(torch.full((dim,), 0.01))

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, state: LayerState | None = None
    ) -> Tensor:
        x = x + self.attention_scale * self.attention(self.attention_norm(x), cos, sin, state)
        ffn = self.ffn_out(F.gelu(self.ffn_in(self.ffn_norm(x))))
        out: Tensor = x + self.ffn_scale * ffn
        return out


class Transformer(nn.Module):
    """Layers without a final norm, over (B, D, S) like the convolutions around it."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))

    def new_state(self, batch: int) -> list[LayerState]:
        """Empty windows."""
        config = self.config
        some = next(self.parameters())
        shape = (batch, config.num_heads, 0, config.dim // config.num_heads)
        return [LayerState(some.new_zeros(shape), some.new_zeros(shape)) for _ in self.layers]

    def forward(self, x: Tensor, state: Sequence[LayerState] | None = None) -> Tensor:
        x = x.transpose(1, 2)
        start = state[0].position if state is not None else 0  # the same in every layer
        cos, sin = self.rotation(start, x.shape[1], x.device)
        for index, layer in enumerate(self.layers):
            x = layer(x, cos, sin, None if state is None else state[index])
        return x.transpose(1, 2)

    def rotation(self, start: int, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Cosine and sine, each (length, E/2) fp32, of `length` positions from `start` on."""
        config = self.config
        frequencies = inverse_frequencies(config.dim // config.num_heads, config.rope_theta, None)
        positions = torch.arange(start, start + length, device=device)
        return rotation(positions, frequencies.to(device))
