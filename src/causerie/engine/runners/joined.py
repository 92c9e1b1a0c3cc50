"""Weights in the shapes that a GPU multiplies fastest, kept once: the model's become views of them.

So names, shapes and values of the model's weights stay, as do saving and copying it. What later
takes other tensors in their place, such as `Module.to`, changes nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

#: Numbers to which the rows of a matrix are aligned: 16 bytes of bf16.
ALIGNED = 8


def join(*weights: Tensor) -> Tensor:
    """One matrix (N, D) of the rows of several, which become views of it."""
    if not _are_joined(weights):
        joined = torch.cat([weight.detach() for weight in weights])
        _replace(weights, joined.split([len(weight) for weight in weights]))
    first, num_rows = weights[0].detach(), sum(map(len, weights))
    return first.as_strided((num_rows, first.shape[1]), first.stride(), first.storage_offset())


def align(weight: Tensor) -> Tensor:
    """The matrix (…, D, N) with rows that begin at multiples of 16 bytes; it becomes a view."""
    short = -weight.stride(-2) % ALIGNED
    if short:
        _replace([weight], [F.pad(weight.detach(), (0, short))[..., : weight.shape[-1]]])
    return weight.detach()


def _are_joined(weights: Sequence[Tensor]) -> bool:
    """Whether the weights already follow one another in one storage."""
    storages = {weight.untyped_storage()._cdata for weight in weights}
    place = weights[0].storage_offset()
    for weight in weights:
        if weight.storage_offset() != place or not weight.is_contiguous():
            return False
        place += weight.numel()
    return len(storages) == 1


def _replace(weights: Sequence[Tensor], views: Sequence[Tensor]) -> None:
    for weight, view in zip(weights, views, strict=True):
        weight.data = view
