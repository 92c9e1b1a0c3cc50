"""Chooses the runner for a checkpoint."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal, cast

import torch

from causerie.engine.runner import Runner
from causerie.engine.runners.batched import BatchedRunner
from causerie.engine.runners.native import NativeRunner
from causerie.engine.runners.plain import PlainRunner
from causerie.errors import ConfigError
from causerie.kernels import compiler
from causerie.native import library
from causerie.native.products import FORMATS, Format

if TYPE_CHECKING:
    from causerie.checkpoint.load import Checkpoint

log = logging.getLogger("causerie.engine")

#: "native" for a CPU, "batched" for a GPU, "plain" for any device.
Kernels = Literal["auto", "native", "batched", "plain"]
#: Formats of the backbone and the depth decoder that native kernels have on request.
FAST_FORMATS = ("int5", "int4")
#: Largest batch for the Triton kernels: larger ones are faster on tensor cores.
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
    """A new runner with `num_slots` slots.

    Args:
        backbone_format, depth_format: storage of the weights of the two transformers: "auto" is
            the model's dtype; the others need the native kernels, except for an int8 depth
            decoder, which also runs on a GPU.
        num_threads: of the native kernels; None uses all that the process may use.
        kernels: "auto" is native on a cpu if they were built, batched on cuda, plain elsewhere.

    Raises:
        ConfigError: the requested kernels or formats are not available.
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
        return BatchedRunner(
            model, codec, num_slots=num_slots, depth_int8=True,
            kernel_slots=_kernel_slots(model.projection.weight.device),
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
            f"only native kernels, on a cpu, store weights as {backbone_format} and "
            f"{depth_format}: {reason or f'{kernels} kernels were requested'}"
        )
    if kernels == "batched":
        return BatchedRunner(model, codec, num_slots=num_slots)
    return PlainRunner(model, codec, num_slots)


def _kernel_slots(device: torch.device) -> int:
    """The largest batch for the Triton kernels on a device; 0 where they cannot be compiled."""
    if device.type != "cuda":
        return 0
    why = compiler.problem(device)
    if why:
        log.warning("int8 by torch's kernels, which is no faster than bfloat16: %s", why)
    return 0 if why else KERNEL_SLOTS


def fast_formats(device: torch.device) -> tuple[str, str]:
    """The formats of the two transformers that are recommended for csm-1b on a device.

    They are the model's own on a card, and without native kernels, which is logged.
    """
    if device.type != "cpu":
        return ("auto", "auto")
    why = library.problem()
    if why:
        log.warning("fast changes nothing without native kernels: %s", why)
    return ("auto", "auto") if why else FAST_FORMATS


def check_formats(*formats: str, fast: bool = False) -> None:
    """Raise ConfigError if a format is unknown, or is given although `fast` chooses it."""
    for name in formats:
        if name not in ("auto", *FORMATS):
            known = ", ".join(("auto", *FORMATS))
            raise ConfigError(f"a weight format must be one of {known}, not {name!r}")
        if fast and name != "auto":
            raise ConfigError(
                "fast chooses the weight formats: give either it or backbone_format and "
                "depth_format"
            )


def _stored(name: str) -> Format | None:
    return None if name == "auto" else cast("Format", name)
