"""Merges low-rank adapters in peft's format into a model, without peft.

    FOLDER/adapter_config.json           its base, scale and layers
    FOLDER/adapter_model.safetensors     two small matrices for each adapted layer, and layers that
                                         were trained in full (`modules_to_save`)

peft, unsloth and `causerie train lm` write such folders. The names of tensors may be those of any
layout in `causerie.checkpoint.keymap`, or our own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from causerie.checkpoint.fill import Change, prefixed, same_names
from causerie.checkpoint.keymap import (
    CODEC_PREFIX,
    CSM_ALIASES,
    FOREIGN_CODEC_PREFIX,
    MIMI_ALIASES,
    Entry,
    csm_entries,
    mimi_entries,
)
from causerie.checkpoint.tensors import LazyTensor, open_files
from causerie.codec.mimi import Mimi
from causerie.errors import CheckpointError
from causerie.model.csm import CSM
from causerie.model_files import ADAPTER, ADAPTER_WEIGHTS, read_json

#: Changes of our tensors, by name.
Changes = dict[str, Change]

#: unsloth wrote this in place of a revision.
_NO_REVISION = "unsloth"
_LORA = re.compile(r"(?P<layer>.+)\.lora_(?P<side>[AB])(?:\.\w+)?\.weight")
_EMBEDDING = re.compile(r"(?P<layer>.+)\.lora_embedding_(?P<side>[AB])(?:\.\w+)?")
_PREFIX = re.compile(r"^(?:base_model\.model\.)+")
#: Between a layer and its tensor, where peft keeps several versions of the layer.
_VERSION = re.compile(r"\.(?:modules_to_save|base_layer|original_module)(?:\.default)?(?=\.)")


@dataclass(frozen=True)
class Adapter:
    """An adapter's folder.

    Attributes:
        base: name or path of the model that it was trained from, with @revision if it has one; ""
            if it is not recorded.
    """

    folder: Path
    base: str
    config: Mapping[str, Any]

    @property
    def base_source(self) -> str:
        """The base as a source for `locate`; a revision of a local folder has no meaning."""
        path = self.base.rpartition("@")[0] or self.base
        return path if Path(path).expanduser().exists() else self.base

    @classmethod
    def open(cls, folder: Path) -> Adapter:
        """The adapter in a folder.

        Raises:
            CheckpointError: its configuration cannot be read, or it is not a low-rank adapter.
        """
        config = read_json(folder / ADAPTER)
        kind = config.get("peft_type", "LORA")
        if kind != "LORA" or config.get("use_dora"):
            raise CheckpointError(
                f"{folder} is an adapter of kind {'DoRA' if kind == 'LORA' else kind}, and "
                "causerie merges LoRA only: merge it with peft, and load the merged model"
            )
        base, revision = str(config.get("base_model_name_or_path") or ""), config.get("revision")
        if revision and revision != _NO_REVISION and base and "@" not in base:
            base = f"{base}@{revision}"
        return cls(folder, base, config)

    def changes(self, model: CSM, codec: Mimi | None = None) -> tuple[Changes, Changes]:
        """The changes of the model's tensors, and of the codec's, by our names.

        An adapter whose layers were chosen as ``q_proj`` and so on has pairs for the codec too,
        which training leaves at zero: they are skipped.

        Args:
            model: only its shapes matter; it may be on the meta device.
            codec: without it, an adapter that changes the codec is refused.

        Raises:
            CheckpointError: the adapter cannot be read, or it does not fit.
        """
        targets = _Targets(model, codec)
        found: tuple[Changes, Changes] = ({}, {})
        wrong: list[str] = []
        for name, change, shape in self._tensors():
            target = targets.find(name)
            if target is None or target.shape != shape:
                expected = "" if target is None else f" where {target.shape} is expected"
                wrong.append(f"{name} {shape}{expected}")
                continue
            if change is None:
                continue
            changes = found[target.is_codec]
            earlier, ours = changes.get(target.entry.ours), target.change(change)
            changes[target.entry.ours] = ours if earlier is None else _after(earlier, ours)
        if wrong:
            raise CheckpointError(
                f"{self.folder} is an adapter of another model: {len(wrong)} of its tensors do not "
                f"fit, such as {wrong[0]}"
            )
        return found

    def merge_into(self, model: CSM, codec: Mimi | None = None) -> None:
        """Change the weights of its base in place, each in fp32.

        Raises:
            CheckpointError: as `changes`, or it changes the codec; nothing was changed.
        """
        changes, codec_changes = self.changes(model, codec)
        if codec_changes:
            raise CheckpointError(f"{self.folder} changes the codec: load it as a model of its own")
        apply_changes(model, changes)

    def _tensors(self) -> Iterator[tuple[str, Change | None, tuple[int, ...]]]:
        """Name, change and shape of each changed tensor; a change of None has no effect."""
        path = next((p for n in ADAPTER_WEIGHTS if (p := self.folder / n).is_file()), None)
        if path is None:
            raise CheckpointError(
                f"{self.folder} holds no readable adapter: {ADAPTER_WEIGHTS[0]} is missing"
            )
        pairs: dict[str, dict[str, LazyTensor]] = {}
        for full, tensor in open_files([path]).items():
            name = _VERSION.sub("", _PREFIX.sub("", full))
            lora, embedding = _LORA.fullmatch(name), _EMBEDDING.fullmatch(name)
            if match := lora or embedding:
                sides = pairs.setdefault(match["layer"], {})
                sides[match["side"] if lora else f"embedding {match['side']}"] = tensor
            else:
                yield name, partial(_replace, tensor), tensor.shape
        for layer, sides in pairs.items():  # after full tensors, whose changes come first
            yield self._pair(layer, sides)

    def _pair(
        self, layer: str, sides: Mapping[str, LazyTensor]
    ) -> tuple[str, Change | None, tuple[int, ...]]:
        """Name, change and shape of a layer that has a pair of matrices."""
        is_embedding = "embedding A" in sides
        a, b = (sides.get(f"embedding {side}" if is_embedding else side) for side in "AB")
        if a is None or b is None or not len(a.shape) == len(b.shape) == 2:
            raise CheckpointError(f"{self.folder}: the two matrices of {layer} are not complete")
        rank = a.shape[0]
        wanted = self._setting("rank_pattern", "r", layer)
        if not rank == b.shape[1] == wanted:
            raise CheckpointError(
                f"{self.folder}: {layer} has rank {rank}, but {ADAPTER} says {wanted}: the two "
                "files do not belong together"
            )
        alpha = self._setting("alpha_pattern", "lora_alpha", layer)
        scale = alpha / (math.sqrt(rank) if self.config.get("use_rslora") else rank)
        shape = (b.shape[0], a.shape[1])
        # `fan_in_fan_out` concerns layers that are no nn.Linear, and a CSM has none of those
        change = partial(_add, a, b, scale, is_embedding) if b.read().any() else None
        return f"{layer}.weight", change, shape[::-1] if is_embedding else shape

    def _setting(self, pattern: str, name: str, layer: str) -> float:
        """A setting of a layer: by the first pattern that its name ends with, else the general."""
        for end, value in (self.config.get(pattern) or {}).items():
            if re.match(rf"(?:.*\.)?(?:{end})$", layer):
                return float(value)
        value = self.config.get(name)
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise CheckpointError(
                f"{self.folder} holds no readable adapter: {name} is {value!r} in {ADAPTER}"
            )
        return float(value)


@dataclass(frozen=True)
class _Target:
    """A tensor that an adapter may change: one part of one of our tensors."""

    entry: Entry
    part: int
    shape: tuple[int, ...]
    is_codec: bool

    def change(self, change: Change) -> Change:
        """A change of this part, as a change of our tensor."""
        return partial(_change_part, self.entry, self.part, change)


class _Targets:
    """All tensors that an adapter may change, by their names in every layout."""

    def __init__(self, model: CSM, codec: Mimi | None) -> None:
        self._targets: dict[str, _Target] = {}
        for layout in ("transformers", "original"):
            self._add(model, csm_entries(model.config, layout))
        self._add(model, same_names(model))
        if codec is not None:
            self._add(codec, prefixed(same_names(codec), CODEC_PREFIX))
            if codec.config.decoder is None:
                theirs = mimi_entries(codec.config, "transformers")
                self._add(codec, prefixed(theirs, FOREIGN_CODEC_PREFIX))

    def find(self, name: str) -> _Target | None:
        """The tensor with this name, or with one that means the same."""
        if name.startswith(FOREIGN_CODEC_PREFIX):
            inner = name.removeprefix(FOREIGN_CODEC_PREFIX)
            name = FOREIGN_CODEC_PREFIX + _renamed(inner, MIMI_ALIASES["transformers"])
        else:
            name = _renamed(name, CSM_ALIASES["transformers"])
        return self._targets.get(name)

    def _add(self, module: nn.Module, entries: Sequence[Entry]) -> None:
        ours = module.state_dict()
        for entry in entries:
            parts = entry.form.split(ours[entry.ours].to("meta"))
            for index, (name, part) in enumerate(zip(entry.theirs, parts, strict=True)):
                target = _Target(entry, index, tuple(part.shape), isinstance(module, Mimi))
                self._targets.setdefault(name, target)


@torch.no_grad()
def apply_changes(module: nn.Module, changes: Changes) -> None:
    """Change tensors of a module in place."""
    weights = module.state_dict()
    for name, change in changes.items():
        weights[name].copy_(change(weights[name].float()))


def _renamed(name: str, aliases: Sequence[tuple[str, str]]) -> str:
    matches = (re.subn(pattern, new, name) for pattern, new in aliases)
    return next((new for new, count in matches if count), name)


# -- changes: from a tensor in fp32 to another ---------------------------------------------------


def _replace(new: LazyTensor, old: Tensor) -> Tensor:
    return new.read().to(device=old.device, dtype=old.dtype)


def _add(a: LazyTensor, b: LazyTensor, scale: float, is_embedding: bool, old: Tensor) -> Tensor:
    delta = scale * b.read().float() @ a.read().float()
    return old + (delta.T if is_embedding else delta).to(old.device)


def _change_part(entry: Entry, index: int, change: Change, ours: Tensor) -> Tensor:
    parts = list(entry.form.split(ours))
    parts[index] = change(parts[index])
    return entry.form.join(parts)


def _after(first: Change, second: Change) -> Change:
    return lambda tensor: second(first(tensor))
