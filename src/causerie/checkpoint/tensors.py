"""Tensors of checkpoint files, read one at a time.

A model is never in memory twice: names and shapes come from the headers of the files, data is read
on demand, and no file stays open or mapped. Knows nothing about the meaning of names.
"""

from __future__ import annotations

import json
import pickle
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from causerie.errors import CheckpointError
from causerie.model_files import file_problem


@dataclass(frozen=True)
class LazyTensor:
    """A tensor on disk.

    Attributes:
        read: returns the data, which may be mapped from the file.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], Tensor]


Tensors = dict[str, LazyTensor]

#: Parts of names that torch.compile and DistributedDataParallel add.
_WRAPPERS = ((r"(?:^|(?<=\.))(?:_orig_mod|module)\.", ""),)
#: The names of dtypes in a safetensors header; torch has no others that a model is stored in.
_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip


def open_files(paths: Iterable[Path]) -> Tensors:
    """All tensors of safetensors files and pickles, named without `_orig_mod.` and `module.`.

    Raises:
        CheckpointError: a file is damaged or of an unknown kind, or a name is in two files.
    """
    tensors: Tensors = {}
    for path in paths:
        found = _open(path)
        twice = sorted(set(found) & set(tensors))
        if twice:
            raise CheckpointError(
                f"{path} repeats {len(twice):,} tensors of another file, such as {twice[0]}"
            )
        tensors |= found
    return rename(tensors, _WRAPPERS)


def stored_dtype(tensors: Iterable[LazyTensor]) -> torch.dtype:
    """The dtype that all of these tensors have, or float32 if they differ."""
    dtypes = {tensor.dtype for tensor in tensors}
    return dtypes.pop() if len(dtypes) == 1 else torch.float32


def under(tensors: Tensors, prefix: str) -> Tensors:
    """The tensors whose names start with a prefix, with the prefix removed."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def rename(tensors: Tensors, aliases: Sequence[tuple[str, str]]) -> Tensors:
    """The tensors renamed by the first regular expression that matches; others keep their name.

    Raises:
        CheckpointError: two names become one, and their tensors differ.
    """
    renamed: Tensors = {}
    came_from: dict[str, str] = {}
    for name, tensor in tensors.items():
        matches = (re.subn(pattern, new, name) for pattern, new in aliases)
        new_name = next((new for new, count in matches if count), name)
        if new_name in renamed and not _same(renamed[new_name], tensor):
            raise CheckpointError(
                f"{came_from[new_name]} and {name} are names of one tensor, but their values "
                "differ: remove the wrong one"
            )
        renamed[new_name], came_from[new_name] = tensor, name
    return renamed


def fold_weight_norm(tensors: Tensors) -> Tensors:
    """The tensors with ``X.weight`` for each pair ``X.weight_g``, ``X.weight_v``.

    Knows both spellings of torch.
    """
    plain = rename(
        tensors,
        (
            (r"\.parametrizations\.weight\.original0$", ".weight_g"),
            (r"\.parametrizations\.weight\.original1$", ".weight_v"),
        ),
    )
    for name in [name for name in plain if name.endswith(".weight_g")]:
        weight = name.removesuffix("_g")
        if f"{weight}_v" in plain and weight not in plain:
            length, direction = plain.pop(name), plain.pop(f"{weight}_v")
            fold = partial(_fold, length, direction)
            plain[weight] = LazyTensor(direction.shape, torch.float32, fold)
    return plain


def _fold(length: LazyTensor, direction: LazyTensor) -> Tensor:
    # torch's default: one norm for each index of the first dimension
    v = direction.read().float()
    norm = torch.linalg.vector_norm(v, dim=tuple(range(1, v.ndim)), keepdim=True)
    folded: Tensor = v * (length.read().float() / norm)
    return folded


def _same(one: LazyTensor, other: LazyTensor) -> bool:
    return one.shape == other.shape and torch.equal(one.read(), other.read())


def _open(path: Path) -> Tensors:
    if path.suffix == ".safetensors":
        with _reading(path):
            with safe_open(path, "pt"):  # checks the header against the size of the file
                header = _header(path)
            return {
                name: LazyTensor(
                    tuple(entry["shape"]),
                    _DTYPES.get(entry["dtype"], torch.uint8),
                    partial(_read_safetensor, path, name),
                )
                for name, entry in header.items()
                if name != "__metadata__"
            }
    if path.suffix in (".pt", ".pth", ".bin", ".ckpt"):
        return {
            name: LazyTensor(tuple(tensor.shape), tensor.dtype, partial(_read_pickled, path, name))
            for name, tensor in _unpickle(path).items()
        }
    if problem := file_problem(path):
        raise CheckpointError(problem)
    raise CheckpointError(f"{path} is neither .safetensors nor a pickle (.pt, .pth, .bin, .ckpt)")


def _header(path: Path) -> dict[str, dict[str, Any]]:
    # safetensors' own get_slice takes half a millisecond a name.
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header: dict[str, dict[str, Any]] = json.loads(file.read(size))
    return header


def _read_safetensor(path: Path, name: str) -> Tensor:
    with _reading(path), safe_open(path, "pt") as file:
        tensor: Tensor = file.get_tensor(name)
        return tensor


def _read_pickled(path: Path, name: str) -> Tensor:
    return _unpickle(path)[name]


def _unpickle(path: Path) -> dict[str, Tensor]:
    with _reading(path):
        values = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(values, dict) or not all(isinstance(v, Tensor) for v in values.values()):
        raise CheckpointError(f"{path} is not a plain state dict: save model.state_dict() alone")
    return values


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (
        SafetensorError, pickle.UnpicklingError, OSError, RuntimeError, EOFError, ValueError,
    ) as error:  # fmt: skip
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{path} cannot be read ({first_line}): it may be damaged, incomplete, or hold more "
            "than tensors; download it again"
        ) from error
