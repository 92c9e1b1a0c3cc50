"""Opens the files of a checkpoint, or those of an adapter's base. Does not know layouts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from causerie.checkpoint.adapter import Adapter
from causerie.checkpoint.locate import locate, locate_voices
from causerie.checkpoint.tensors import Tensors, open_files
from causerie.errors import CheckpointError
from causerie.model_files import ADAPTER, has_weights, read_json, weight_files
from causerie.voice_file import voice_files

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """The open files of a checkpoint."""

    path: Path
    folder: Path
    config: Mapping[str, Any]
    tensors: Tensors


def adapter_at(path: Path) -> Adapter | None:
    """The adapter in a folder, or whose weights are this file."""
    folder = path if path.is_dir() else path.parent
    is_adapter = path.is_dir() or path.name.startswith("adapter_model.")
    return Adapter.open(folder) if is_adapter and (folder / ADAPTER).is_file() else None


def open_base(adapter: Adapter, base: str | Path | None) -> Source:
    """The base of an adapter: the given one, else the one beside it, else the one that it names.

    Raises:
        CheckpointError: it cannot be found; names it and the command to name another.
    """
    if base is not None:
        return open_source(locate(base))
    return _at_base(adapter, lambda base: open_source(locate(base)))


def _at_base(adapter: Adapter, opened: Callable[[str | Path], T]) -> T:
    """The result for the base that lies in the adapter's folder, beside it, or that it names."""
    if has_weights(adapter.folder):
        return opened(adapter.folder)
    cure = f"name its base: causerie merge {adapter.folder} OUT --base MODEL"
    if not adapter.base:
        raise CheckpointError(f"{adapter.folder} is an adapter that does not name its base; {cure}")
    beside = adapter.folder / adapter.base.partition("@")[0]
    try:
        return opened(beside if beside.is_dir() else adapter.base_source)
    except CheckpointError as error:
        raise CheckpointError(
            f"{adapter.folder} is an adapter of {adapter.base}, which cannot be opened: {error}; "
            f"if you have it elsewhere, {cure}"
        ) from error


def open_source(path: Path) -> Source:
    """The open files of a checkpoint in a folder, or in one weight file."""
    folder, files = (path, weight_files(path)) if path.is_dir() else (path.parent, [path])
    config = folder / "config.json"
    values = read_json(config) if config.is_file() else {}
    return Source(path, folder, values, open_files(files))


def voices_of(source: str | Path) -> dict[str, Path]:
    """Name and file of each voice of a model, or of an adapter and its base.

    Raises:
        CheckpointError: it cannot be found. Weights are neither downloaded nor checked.
    """
    folder = locate_voices(source)
    adapter = adapter_at(folder)
    if adapter is None:
        return voice_files(folder)
    return voice_files(_at_base(adapter, locate_voices)) | voice_files(folder)
