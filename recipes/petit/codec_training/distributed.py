"""Collectives for data-parallel training; no-ops in a single process.

Process r of n trains on items r, r + n, … of each batch. Every process draws the random numbers
of the whole batch, from generators in the same state, and codebooks see the vectors of all.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn


def world_size() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Index of this process."""
    return dist.get_rank() if dist.is_initialized() else 0


def all_gather(part: Tensor) -> Tensor:
    """The whole batch (B · n, …), from each process's part (B, …)."""
    if world_size() == 1:
        return part
    parts = [
        torch.empty_like(part, memory_format=torch.contiguous_format) for _ in range(world_size())
    ]
    dist.all_gather(parts, part.contiguous())
    return torch.stack(parts, dim=1).flatten(0, 1)


def rand(shape: Iterable[int], generator: torch.Generator) -> Tensor:
    """This process's part (B, …) of uniform random numbers for the whole batch."""
    size, *rest = shape
    return torch.rand(size * world_size(), *rest, generator=generator)[rank() :: world_size()]


def randn(shape: Iterable[int], generator: torch.Generator) -> Tensor:
    """This process's part (B, …) of normal random numbers for the whole batch."""
    size, *rest = shape
    return torch.randn(size * world_size(), *rest, generator=generator)[rank() :: world_size()]


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace the gradients by their mean over all processes."""
    if world_size() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= world_size()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
