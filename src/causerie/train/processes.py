"""One process or several, on CPUs or GPUs, by accelerate. Knows nothing of what they do."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import torch

from causerie.errors import ConfigError

if TYPE_CHECKING:
    from accelerate import Accelerator

#: While one process evaluates, the others wait.
PATIENCE = timedelta(hours=12)


def find_processes(device: Literal["auto", "cpu", "cuda"] = "auto") -> Accelerator:
    """This process among those that ``accelerate launch`` or ``torchrun`` started, or alone.

    Raises:
        ConfigError: accelerate is not installed, or the device is not there.
    """
    try:
        from accelerate import Accelerator
        from accelerate.utils import InitProcessGroupKwargs
    except ImportError as error:
        raise ConfigError(
            f'training needs accelerate ({error}): pip install "causerie[train]"'
        ) from error
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError('device "cuda" is not there: use "auto" or "cpu"')
    # Its own mixed precision stays off, whatever the environment says: `precision` is the recipe's.
    found = Accelerator(
        cpu=device == "cpu",
        mixed_precision="no",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
    )
    if device != "auto" and found.device.type != device:
        raise ConfigError(
            f"device {device!r} was asked for, but this process runs on {found.device}: start "
            "another one"
        )
    return found
