"""Checks codes, and reads and writes them as files. Does not know models."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from causerie.errors import AudioError
from causerie.files import write_bytes

_FORMAT = {"format": "causerie codes", "version": "1"}


def check_codes(codes: Tensor, codebook_size: int, name: str) -> Tensor:
    """Codes (K, T) on the CPU, int64.

    Args:
        name: the segment or file in errors.

    Raises:
        AudioError: wrong shape or type, no frames, or codes outside the codebook.
    """
    if codes.ndim != 2:
        raise AudioError(
            f"codes of {name} have the shape {tuple(codes.shape)}; it must be (codebooks, frames)"
        )
    if codes.dtype.is_floating_point or codes.dtype.is_complex or codes.dtype == torch.bool:
        raise AudioError(f"codes of {name} must be whole numbers, not {codes.dtype}")
    if not codes.numel():
        raise AudioError(f"{name} is empty: its codes have no frames")
    low, high = int(codes.min()), int(codes.max())
    if low < 0 or high >= codebook_size:
        raise AudioError(
            f"codes of {name} run from {low} to {high}; this codec's are 0 … {codebook_size - 1}"
        )
    return codes.detach().to("cpu", torch.long)


def save_codes(path: str | os.PathLike[str], codes: Tensor) -> Path:
    """Write codes (K, T) as a safetensors file.

    Raises:
        AudioError: the path cannot be written.
    """
    contents = save({"codes": codes.to("cpu", torch.int32).contiguous()}, _FORMAT)
    try:
        return write_bytes(path, contents)
    except OSError as error:
        raise AudioError(f"cannot write {os.fspath(path)}: {error}") from error


def load_codes(path: str | os.PathLike[str], codebook_size: int) -> Tensor:
    """Codes (K, T) from a file that `save_codes` wrote.

    Raises:
        AudioError: the file is missing, damaged or of another kind, or codes are out of range.
    """
    name = os.fspath(path)
    if not Path(path).is_file():
        raise AudioError(f"{name} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            if "codes" not in file.keys():  # noqa: SIM118 - it is not a mapping
                raise AudioError(
                    f"{name} holds no codes: it must come from `causerie codec encode`"
                )
            codes = file.get_tensor("codes")
    except (OSError, SafetensorError) as error:
        raise AudioError(f"{name} cannot be read as codes: {error}") from error
    return check_codes(codes, codebook_size, name)
