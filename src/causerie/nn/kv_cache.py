"""Keys and values of the positions so far: plain tensors, passed in, updated in place."""

from __future__ import annotations

import torch
from torch import Tensor

from causerie.config import LlamaConfig


class KVCache:
    """Pre-allocated keys and values of one transformer.

    Attributes:
        keys, values: (num_layers, B, G, max_length, E).
        length: positions filled so far, the same for every row.
    """

    def __init__(
        self,
        config: LlamaConfig,
        batch: int,
        max_length: int,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (config.num_layers, batch, config.num_kv_heads, max_length, config.head_dim)
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.length = 0

    @property
    def max_length(self) -> int:
        """Positions that fit."""
        return self.keys.shape[3]

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store new keys and values (B, G, S, E) of a layer; return all (B, G, length + S, E).

        `advance` moves the length once all layers have stored theirs.
        """
        end = self.length + keys.shape[2]
        assert end <= self.max_length, f"cache of {self.max_length} positions is full"
        self.keys[layer, :, :, self.length : end] = keys
        self.values[layer, :, :, self.length : end] = values
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def advance(self, num_positions: int) -> None:
        """Count positions that every layer has stored."""
        self.length += num_positions

    def reset(self) -> None:
        """Forget everything; the memory stays."""
        self.length = 0
