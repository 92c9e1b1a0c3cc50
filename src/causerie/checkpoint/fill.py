"""Fills modules on the meta device with the tensors of a checkpoint, one at a time, strictly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from causerie.checkpoint.keymap import SAME, Entry
from causerie.checkpoint.tensors import Tensors
from causerie.errors import CheckpointError

#: Smaller tensors are converted in pieces of `PIECE` elements, which torch does not divide among
#: threads: its threads would spin between tensors for longer than the conversion takes.
SMALL = 2**23
PIECE = 2**15 - 1  # torch uses threads from 2^15 elements on
#: Names that an error message lists, at most, of each kind of problem.
MAX_NAMES = 5


#: From a tensor in fp32 to another one of the same shape.
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Filling:
    """A module on the meta device, and the checkpoint's tensors for it.

    Attributes:
        changes: of some of our tensors, by name; applied in fp32.
    """

    module: nn.Module
    entries: Sequence[Entry]
    dtype: torch.dtype
    changes: Mapping[str, Change] = field(default_factory=dict)


def same_names(module: nn.Module) -> list[Entry]:
    """The entries of our own layout: every tensor under our name."""
    return [Entry(name, (name,), SAME) for name in module.state_dict()]


def prefixed(entries: Sequence[Entry], prefix: str) -> list[Entry]:
    """The same entries, with a prefix before the checkpoint's names."""
    return [replace(e, theirs=tuple(prefix + name for name in e.theirs)) for e in entries]


def fill(fillings: Sequence[Filling], tensors: Tensors, device: torch.device, where: str) -> None:
    """Read every tensor of the checkpoint into the modules.

    Args:
        where: names the checkpoint in errors.

    Raises:
        CheckpointError: tensors are missing, surplus or misshapen; counts all of them.
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
    # The largest first: the memory for its conversion is free again before the model is complete.
    for _, filling, entry in sorted(wanted, key=lambda item: -item[0]):
        change = filling.changes.get(entry.ours)
        dtype = filling.dtype if change is None else torch.float32
        foreign = [_copy(tensors[name].read(), device, dtype) for name in entry.theirs]
        tensor = entry.form.join(foreign)
        if change is not None:
            tensor = change(tensor).to(filling.dtype)
        states[id(filling)][entry.ours] = tensor.contiguous()
    for filling in fillings:
        filling.module.load_state_dict(states[id(filling)], assign=True)
        filling.module.eval()


def _copy(tensor: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """A copy on the device: the file does not stay mapped."""
    if device.type != "cpu" or tensor.numel() >= SMALL:
        return tensor.to(device=device, dtype=dtype, copy=True)
    copied = torch.empty(tensor.shape, dtype=dtype)
    for to, part in zip(copied.view(-1).split(PIECE), tensor.reshape(-1).split(PIECE), strict=True):
        to.copy_(part)
    return copied


def _check(expected: dict[str, tuple[int, ...]], tensors: Tensors, where: str) -> None:
    missing = sorted(set(expected) - set(tensors))
    surplus = sorted(set(tensors) - set(expected))
    misshapen = [
        f"{name} {tensors[name].shape} where {shape} is expected"
        for name, shape in sorted(expected.items())
        if name in tensors and tensors[name].shape != shape
    ]
    problems = [
        f"{len(names)} {kind}: {_first(names)}"
        for kind, names in (("missing", missing), ("surplus", surplus), ("misshapen", misshapen))
        if names
    ]
    if problems:
        raise CheckpointError(
            f"{where} does not fit the sizes in its configuration; tensors {'; '.join(problems)}"
        )


def _first(names: Sequence[str]) -> str:
    """The first few names, and the number of the others."""
    shown, others = ", ".join(names[:MAX_NAMES]), len(names) - MAX_NAMES
    return f"{shown} and {others:,} more" if others > 0 else shown
