"""Pads conversations to one tensor, and splits a batch into parts that fit in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from causerie.train.lm.samples import Example


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Right-padded conversations.

    Attributes:
        frames: (B, S, K+1) long, the targets.
        mask: (B, S, K+1) bool, the entries of `frames` that count.
        inputs: (B, S, K+1) long, the input of the backbone: `frames`, possibly with noise.
        predicted: (B, S) bool, rows whose codebook 0 has a loss.
        depth_kept: (B, S) bool, rows whose acoustic codes have a loss too.
    """

    frames: Tensor
    mask: Tensor
    inputs: Tensor
    predicted: Tensor
    depth_kept: Tensor

    def arguments(self) -> tuple[Tensor, ...]:
        """The first arguments of `causerie.train.lm.objective.Objective`."""
        return self.frames, self.mask, self.inputs, self.predicted, self.depth_kept

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        return Batch(**{name: tensor.to(device) for name, tensor in vars(self).items()})


def collate(examples: Sequence[Example]) -> Batch:
    """Conversations, padded to one length."""
    frames = torch.from_numpy(_padded([example.rows for example in examples], -1))
    inputs = torch.from_numpy(_padded([example.inputs for example in examples], -1))
    return Batch(
        frames=frames.clamp(min=0),
        mask=frames >= 0,
        inputs=inputs.clamp(min=0),
        predicted=torch.from_numpy(_padded([example.predicted for example in examples], False)),
        depth_kept=torch.from_numpy(_padded([example.depth_kept for example in examples], False)),
    )


def parts_of(examples: Sequence[Example], max_rows: int) -> list[list[Example]]:
    """Split a batch, sorted by length, into parts of at most `max_rows` rows, padding included.

    A longer conversation is a part of its own.
    """
    parts: list[list[Example]] = [[]]
    for example in examples:
        if parts[-1] and (len(parts[-1]) + 1) * len(example.rows) > max_rows:
            parts.append([])
        parts[-1].append(example)
    return parts


def _padded(arrays: Sequence[np.ndarray], value: int | bool) -> np.ndarray:
    length = max(len(array) for array in arrays)
    out = np.full((len(arrays), length, *arrays[0].shape[1:]), value, arrays[0].dtype)
    for target, array in zip(out, arrays, strict=True):
        target[: len(array)] = array
    return out
