"""Which runner computes for a checkpoint: the one place where that is decided."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, cast

import torch

from causerie.engine.runner import Runner
from causerie.engine.runners.batched import BatchedRunner
from causerie.engine.runners.native import NativeRunner
from causerie.engine.runners.plain import PlainRunner
from causerie.errors import ConfigError
from causerie.native import library
from causerie.native.products import FORMATS, Format

if TYPE_CHECKING:
    from causerie.checkpoint.load import Checkpoint

#: "native" for a cpu, "batched" for what is fast at many rows at once, "plain" for anything.
Kernels = Literal["auto", "native", "batched", "plain"]
#: Slots of the largest batch that Triton's kernels compute: beyond, tensor cores have work to do.
KERNEL_SLOTS = 8


def new_runner(
    checkpoint: Checkpoint,
    num_slots: int,
    *,
    backbone_format: str = "auto",
    depth_format: str = "auto",
    num_threads: int | None = None,
    kernels: Kernels = "auto",
) -> Runner:
    """A runner with so many slots.

    Args:
        backbone_format, depth_format: how the weights of the two transformers are stored: "auto"
            is the model's dtype; the others need the native kernels, save for an int8 depth
            decoder, which a GPU has too.
        num_threads: of the native kernels; None: as many as the process may use.
        kernels: "auto" is native on a cpu, where they were built; batched on cuda; else plain.

    Raises:
        ConfigError: what is asked for is not there.
    """
    check_formats(backbone_format, depth_format)
    model, codec = checkpoint.model, checkpoint.codec
    device = model.projection.weight.device.type
    if kernels == "auto":
        kernels = "plain"
        if device == "cpu" and library.problem() is None:
            kernels = "native"
        elif device == "cuda":
            kernels = "batched"
    if kernels == "batched" and (backbone_format, depth_format) == ("auto", "int8"):
        on_gpu = device == "cuda"
        if on_gpu and (find_spec("triton") is None or torch.version.hip):
            raise ConfigError("int8 on a GPU needs one of NVIDIA, and Triton; use auto here")
        return BatchedRunner(
            model, codec, num_slots=num_slots, depth_int8=True,
            kernel_slots=KERNEL_SLOTS if on_gpu else 0,
        )  # fmt: skip
    if kernels == "native":
        if device != "cpu":
            raise ConfigError(f"native kernels compute on a cpu, and the model is on {device}")
        return NativeRunner(
            model,
            codec,
            num_slots,
            backbone_format=_stored(backbone_format),
            depth_format=_stored(depth_format),
            num_threads=num_threads or 0,
        )
    if not backbone_format == depth_format == "auto":
        reason = library.problem() if device == "cpu" else f"the model is on {device}"
        raise ConfigError(
            f"weights are stored as {backbone_format} and {depth_format} by native kernels only, "
            f"which are for a cpu: {reason or f'{kernels} kernels were asked for'}"
        )
    if kernels == "batched":
        return BatchedRunner(model, codec, num_slots=num_slots)
    return PlainRunner(model, codec, num_slots)


def check_formats(*formats: str) -> None:
    """Raise ConfigError where one is unknown."""
    for name in formats:
        if name not in ("auto", *FORMATS):
            known = ", ".join(("auto", *FORMATS))
            raise ConfigError(f"a format of weights must be one of {known}, not {name!r}")


def _stored(name: str) -> Format | None:
    return None if name == "auto" else cast("Format", name)
