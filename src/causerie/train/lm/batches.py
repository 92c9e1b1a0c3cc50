"""Conversations of like length, padded to one tensor; a batch in parts that fit in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from causerie.train.lm.samples import Example


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows of conversations, right-padded.

    Attributes:
        frames: (B, S, K+1) long; mask: the same shape, bool.
        read: (B, S, K+1) long, what the backbone reads.
        predicted: (B, S) bool, rows whose codebook 0 is learned.
        depth_kept: (B, S) bool, rows whose acoustic codes are learned too.
    """

    frames: Tensor
    mask: Tensor
    read: Tensor
    predicted: Tensor
    depth_kept: Tensor

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What `causerie.train.lm.objective.Objective` takes, in its order."""
        return self.frames, self.mask, self.read, self.predicted, self.depth_kept

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(**{name: tensor.to(device) for name, tensor in vars(self).items()})


def collate(examples: Sequence[Example]) -> Batch:
    """Pad conversations to one length."""
    frames = torch.from_numpy(_padded([example.rows for example in examples], -1))
    read = torch.from_numpy(_padded([example.read for example in examples], -1))
    return Batch(
        frames=frames.clamp(min=0),
        mask=frames >= 0,
        read=read.clamp(min=0),
        predicted=torch.from_numpy(_padded([example.learned for example in examples], False)),
        depth_kept=torch.from_numpy(_padded([example.kept for example in examples], False)),
    )


def parts_of(examples: Sequence[Example], max_rows: int) -> list[list[Example]]:
    """Cut a batch, sorted by length, into parts of at most `max_rows` rows, padding included.

    A conversation that is longer is a part by itself.
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
