"""What processes that train the same weights on parts of a batch tell each other; alone, nothing.

Process r of n has the items r, r + n, … of a batch. Random numbers are drawn for the whole batch by
every process, from generators that stay in step, and codebooks see the vectors of all.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn


def count() -> int:
    """Of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def gathered(mine: Tensor) -> Tensor:
    """(B · n, …) of the whole batch, from (B, …) of each process."""
    if count() == 1:
        return mine
    parts = [torch.empty_like(mine, memory_format=torch.contiguous_format) for _ in range(count())]
    dist.all_gather(parts, mine.contiguous())
    return torch.stack(parts, dim=1).flatten(0, 1)


def rand(shape: Iterable[int], generator: torch.Generator) -> Tensor:
    """This process's part (B, …) of uniform numbers for the whole batch."""
    size, *rest = shape
    return torch.rand(size * count(), *rest, generator=generator)[rank() :: count()]


def randn(shape: Iterable[int], generator: torch.Generator) -> Tensor:
    """This process's part (B, …) of normal numbers for the whole batch."""
    size, *rest = shape
    return torch.randn(size * count(), *rest, generator=generator)[rank() :: count()]


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give every process the mean of all gradients."""
    if count() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= count()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
