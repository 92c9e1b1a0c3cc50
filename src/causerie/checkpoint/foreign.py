"""Recognizes weights that causerie does not read, and says which repository to use instead."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

#: A part of a repository's name, and the repository with weights that causerie reads.
_INSTEAD = (
    ("marvis", "Marvis-AI/marvis-tts-250m-v0.2-transformers"),
    ("miso", "MisoLabs/MisoTTS"),
    ("", "sesame/csm-1b, or unsloth/csm-1b, which needs no login"),
)
#: How names of tensors end that only quantized weights have, and by which program.
_QUANTIZED = {".scales": "MLX", ".absmax": "bitsandbytes", ".qweight": "GPTQ or AWQ"}
#: mlx-audio nests the model.
_MLX_NAME = "model.text_embeddings.weight"
_SUFFIXES = {".gguf": "GGUF", ".npz": "MLX"}


def file_problem(path: Path) -> str | None:
    """The error for a file in a format that causerie does not read; None for other files."""
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        return None
    return (
        f"{path} holds weights in the format of {kind}, which causerie does not read: use "
        f"{_instead(path)}"
    )


def folder_problem(folder: Path) -> str | None:
    """The error for a folder whose weights are in such a format; None for other folders."""
    return next(filter(None, map(file_problem, sorted(folder.glob("*")))), None)


def tensors_problem(path: Path, names: Iterable[str]) -> str | None:
    """The error for quantized tensors and for those of MLX; None for others."""
    for name in names:
        kind = next((kind for end, kind in _QUANTIZED.items() if name.endswith(end)), None)
        if kind in ("bitsandbytes", "GPTQ or AWQ"):
            return (
                f"{path} holds weights that {kind} quantized, which causerie does not read: use "
                f"the model that they were made from, such as {_instead(path)}"
            )
        if kind or name == _MLX_NAME:
            return (
                f"{path} holds weights for MLX, which causerie does not read: use the model's "
                "repository for transformers, often the same name with -transformers behind it, "
                f"here {_instead(path)}"
            )
    return None


def _instead(path: Path) -> str:
    name = str(path).lower()
    return next(repo for part, repo in _INSTEAD if part in name)
