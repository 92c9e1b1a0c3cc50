"""The key-value cache: plain tensors, passed as an argument and updated in place."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from causerie.config import LlamaConfig


@dataclass(frozen=True, kw_only=True, eq=False)
class SavedPositions:
    """Keys and values (num_layers, G, n, E) of the first n positions of one row of a cache."""

    keys: Tensor = field(repr=False)
    values: Tensor = field(repr=False)

    @property
    def num_rows(self) -> int:
        """Number of positions."""
        return self.keys.shape[2]

    @property
    def num_bytes(self) -> int:
        """Memory of the keys and values."""
        return self.keys.nbytes + self.values.nbytes


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
        """Number of positions that fit."""
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
        """Add positions that every layer has stored to `length`."""
        self.length += num_positions

    def save(self, row: int, num_positions: int) -> SavedPositions:
        """A copy of the first positions of a row of the batch."""
        return SavedPositions(
            keys=self.keys[:, row, :, :num_positions].clone(),
            values=self.values[:, row, :, :num_positions].clone(),
        )

    def load(self, row: int, saved: SavedPositions, num_positions: int) -> None:
        """Write the first saved positions into a row; the caller calls `advance`."""
        self.keys[:, row, :, :num_positions] = saved.keys[:, :, :num_positions]
        self.values[:, row, :, :num_positions] = saved.values[:, :, :num_positions]

    def reset(self) -> None:
        """Empty the cache; its memory stays allocated."""
        self.length = 0
