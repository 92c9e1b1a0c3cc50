"""Recognizes tensors that causerie does not read, and says which repository to use instead."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from causerie.model_files import instead

#: How names of tensors end that only quantized weights have, and by which program.
_QUANTIZED = {".scales": "MLX", ".absmax": "bitsandbytes", ".qweight": "GPTQ or AWQ"}
#: mlx-audio nests the model.
_MLX_NAME = "model.text_embeddings.weight"


def tensors_problem(path: Path, names: Iterable[str]) -> str | None:
    """The error for quantized tensors and for those of MLX; None for others."""
    for name in names:
        kind = next((kind for end, kind in _QUANTIZED.items() if name.endswith(end)), None)
        if kind in ("bitsandbytes", "GPTQ or AWQ"):
            return (
                f"{path} holds weights that {kind} quantized, which causerie does not read: use "
                f"the model that they were made from, such as {instead(path)}"
            )
        if kind or name == _MLX_NAME:
            return (
                f"{path} holds weights for MLX, which causerie does not read: use the model's "
                "repository for transformers, often the same name with -transformers behind it, "
                f"here {instead(path)}"
            )
    return None
