"""Which runner computes for a checkpoint: the one place where that is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from causerie.engine.plain import PlainRunner
from causerie.engine.runner import Runner
from causerie.errors import ConfigError

if TYPE_CHECKING:
    from causerie.checkpoint.load import Checkpoint

#: "auto" takes the fastest that is there.
Kernels = Literal["auto", "plain", "native", "batched"]
#: How weights are stored while computing; "auto" is the model's dtype.
FORMATS = ("auto", "int8", "int4")


def check_formats(*formats: str) -> None:
    """Raise ConfigError where one is unknown."""
    for name in formats:
        if name not in FORMATS:
            raise ConfigError(f"format of weights must be {', '.join(FORMATS)}, not {name!r}")


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
        backbone_format, depth_format: of the weights of the two transformers: "int8" and "int4"
            are for native kernels.
        num_threads: of native kernels; None: as many as torch has.

    Raises:
        ConfigError: what is asked for is not there.
    """
    return PlainRunner(checkpoint.model, checkpoint.codec, num_slots)
