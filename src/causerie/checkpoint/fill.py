"""Builds modules without memory and gives them their tensors, one at a time, strictly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import nn

from causerie.checkpoint.keymap import SAME, Entry
from causerie.checkpoint.tensors import Tensors
from causerie.errors import CheckpointError

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Filling:
    """A module without memory, and the tensors of the checkpoint that it is made of."""

    module: nn.Module
    entries: Sequence[Entry]
    dtype: torch.dtype


def same_names(module: nn.Module) -> list[Entry]:
    """Our own layout: every tensor under our name."""
    return [Entry(name, (name,), SAME) for name in module.state_dict()]


def prefixed(entries: Sequence[Entry], prefix: str) -> list[Entry]:
    """The same tensors, under a prefix in the checkpoint."""
    return [replace(e, theirs=tuple(prefix + name for name in e.theirs)) for e in entries]


def fill(fillings: Sequence[Filling], tensors: Tensors, device: torch.device, where: str) -> None:
    """Read every tensor of the checkpoint into the modules.

    Args:
        where: names the checkpoint in errors.

    Raises:
        CheckpointError: listing every missing, surplus and misshapen tensor of all modules.
    """
    expected: dict[str, tuple[int, ...]] = {}
    wanted = []
    for filling in fillings:
        ours = filling.module.state_dict()
        for entry in filling.entries:
            shapes = [tuple(tensor.shape) for tensor in entry.form.split(ours[entry.ours])]
            expected.update(zip(entry.theirs, shapes, strict=True))
            wanted.append((ours[entry.ours].numel(), filling, entry))
    _check(expected, tensors, where)
    states: dict[int, dict[str, torch.Tensor]] = {id(filling): {} for filling in fillings}
    # The largest first: the memory to convert it is free again before the model is complete.
    for _, filling, entry in sorted(wanted, key=lambda item: -item[0]):
        foreign = [  # copies, so that nothing keeps a file mapped
            tensors[name].read().to(device=device, dtype=filling.dtype, copy=True)
            for name in entry.theirs
        ]
        states[id(filling)][entry.ours] = entry.form.join(foreign).contiguous()
    for filling in fillings:
        filling.module.load_state_dict(states[id(filling)], assign=True)
        filling.module.eval()


def _check(expected: dict[str, tuple[int, ...]], tensors: Tensors, where: str) -> None:
    missing = sorted(set(expected) - set(tensors))
    surplus = sorted(set(tensors) - set(expected))
    misshapen = [
        f"{name} {tensors[name].shape} where {shape} is expected"
        for name, shape in sorted(expected.items())
        if name in tensors and tensors[name].shape != shape
    ]
    problems = [
        f"{len(names)} {kind}: {', '.join(names)}"
        for kind, names in (("missing", missing), ("surplus", surplus), ("misshapen", misshapen))
        if names
    ]
    if problems:
        raise CheckpointError(
            f"{where} does not fit the sizes in its configuration; tensors {'; '.join(problems)}"
        )
