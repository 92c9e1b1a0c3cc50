"""Finds the processes and the device of a training run, with accelerate."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import torch

from causerie.errors import ConfigError

if TYPE_CHECKING:
    from accelerate import Accelerator

#: While the main process evaluates, the others wait this long.
TIMEOUT = timedelta(hours=12)


def find_processes(device: Literal["auto", "cpu", "cuda"] = "auto") -> Accelerator:
    """This process, alone or in the group that ``accelerate launch`` or ``torchrun`` started.

    Raises:
        ConfigError: accelerate is not installed, or the device is not available.
    """
    try:
        from accelerate import Accelerator
        from accelerate.utils import InitProcessGroupKwargs
    except ImportError as error:
        raise ConfigError(
            f'training needs accelerate ({error}): pip install "causerie[train]"'
        ) from error
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError('device "cuda" is not available: use "auto" or "cpu"')
    # The recipe sets the precision, so accelerate's own mixed precision stays off.
    found = Accelerator(
        cpu=device == "cpu",
        mixed_precision="no",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=TIMEOUT)],
    )
    if device != "auto" and found.device.type != device:
        raise ConfigError(
            f"device is {device!r}, but this process already runs on {found.device}: start a new "
            "process"
        )
    return found
