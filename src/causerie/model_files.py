"""The files of models by their names: which hold weights, and which causerie does not read.

Knows neither torch nor the network, so that a wrong name is an error at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from causerie.errors import CheckpointError

#: The name of the bundled model.
BUNDLED = "petit"
#: Files of a low-rank adapter in peft's format: its configuration, and either of its weights.
ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")

_HUB_ID = re.compile(r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>[\w./-]+))?")
#: In order of preference: the first of sesame/csm-1b's three copies holds the codec too, the other
#: two are in the original layout, without it.
WEIGHTS = (
    "transformers.safetensors.index.json",
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "ckpt.pt",
)
#: A part of a repository's name, and the repository with weights that causerie reads.
_INSTEAD = (
    ("marvis", "Marvis-AI/marvis-tts-250m-v0.2-transformers"),
    ("miso", "MisoLabs/MisoTTS"),
    ("", "sesame/csm-1b, or unsloth/csm-1b, which needs no login"),
)
_SUFFIXES = {".gguf": "GGUF", ".npz": "MLX"}


def check_source(source: str) -> None:
    """Check without the network that a source may be a model or an adapter.

    Raises:
        CheckpointError: it is neither a file, a folder with weights, nor like a hub id.
    """
    path = Path(source).expanduser()
    if source == BUNDLED:
        return
    if source == "" or not path.exists():
        hub_id(source)
    elif path.is_dir() and not (path / ADAPTER).is_file():
        weight_files(path)
    elif path.is_file() and (problem := file_problem(path)):
        raise CheckpointError(problem)


def hub_id(source: str | Path) -> re.Match[str]:
    """The parts of a hub id: `repo` and `revision`.

    Raises:
        CheckpointError: it is none.
    """
    match = _HUB_ID.fullmatch(str(source))
    if match is None or isinstance(source, Path):
        raise CheckpointError(
            f"{str(source)!r} is not a file, a folder or a hub id such as sesame/csm-1b; "
            f"check the spelling, or use {BUNDLED!r}, the bundled model"
        )
    return match


def weight_files(folder: Path) -> list[Path]:
    """The files with a folder's tensors.

    Raises:
        CheckpointError: there are none, or a part is missing.
    """
    for names in weight_copies(folder):
        missing = [name for name in names if not (folder / name).is_file()]
        if not missing:
            return [folder / name for name in names]
        if len(missing) < len(names):
            raise CheckpointError(
                f"{folder} lacks {len(missing)} of {len(names)} weight files, such as "
                f"{missing[0]}: download it again"
            )
    if (folder / ADAPTER).is_file():
        raise CheckpointError(f"{folder} is an adapter, and a whole model is needed here")
    inside = _model_inside(folder)
    hint = f"looked for {', '.join(WEIGHTS)}" if inside is None else f"{inside} does: give that"
    raise CheckpointError(folder_problem(folder) or f"{folder} holds no weights; {hint}")


def _model_inside(folder: Path) -> Path | None:
    """The folder in it that holds a model or an adapter; of several, that of the latest step."""
    found = (path.parent for path in folder.glob("*/*") if path.name in (ADAPTER, *WEIGHTS))

    def step(path: Path) -> list[int]:
        return [int(digits) for digits in re.findall(r"[0-9]+", path.name)]

    return max(found, key=step, default=None)


def has_weights(folder: Path) -> bool:
    """Whether a folder holds the weights of a whole model."""
    return any(all((folder / name).is_file() for name in names) for names in weight_copies(folder))


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON ({error})") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds no JSON object")
    return values


def weight_copies(folder: Path) -> Iterator[list[str]]:
    """File names of each possible copy of the weights, in order of preference."""
    config = folder / "config.json"
    explicit = read_json(config).get("transformers_weights") if config.is_file() else None
    for name in (explicit, *WEIGHTS) if explicit else WEIGHTS:
        if not name.endswith(".index.json"):
            yield [name]
        elif (folder / name).is_file():
            weight_map = read_json(folder / name).get("weight_map", {})
            yield sorted(set(weight_map.values()))


def file_problem(path: Path) -> str | None:
    """The error for a file in a format that causerie does not read; None for other files."""
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        return None
    return (
        f"{path} holds weights in the format of {kind}, which causerie does not read: use "
        f"{instead(path)}"
    )


def folder_problem(folder: Path) -> str | None:
    """The error for a folder whose weights are in such a format; None for other folders."""
    return next(filter(None, map(file_problem, sorted(folder.glob("*")))), None)


def instead(path: Path) -> str:
    """The repository to use in place of weights that causerie does not read."""
    name = str(path).lower()
    return next(repo for part, repo in _INSTEAD if part in name)
