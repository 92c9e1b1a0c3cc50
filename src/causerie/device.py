"""Devices and dtypes of torch by their names."""

from __future__ import annotations

import torch

from causerie.errors import ConfigError

_DTYPES = {
    "float32": torch.float32, "fp32": torch.float32,
    "bfloat16": torch.bfloat16, "bf16": torch.bfloat16,
    "float16": torch.float16, "fp16": torch.float16,
}  # fmt: skip


def find_device(device: str | torch.device) -> torch.device:
    """The device with this name; "auto" is the fastest one available.

    Raises:
        ConfigError: this machine has no such device.
    """
    there = [torch.device("cpu")]
    if torch.backends.mps.is_available():
        there.insert(0, torch.device("mps"))
    if torch.cuda.is_available():
        there = [torch.device("cuda", i) for i in range(torch.cuda.device_count())] + there
    if device == "auto":
        return there[0]
    names = ", ".join(["auto", *map(str, there)])
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ConfigError(f"device {device!r} is unknown: use one of {names}") from error
    if not any(found.type == d.type and found.index in (None, d.index or 0) for d in there):
        raise ConfigError(f"device {str(device)!r} is not available: use one of {names}")
    return found


def find_dtype(
    dtype: str | torch.dtype, device: torch.device, stored: torch.dtype = torch.float32
) -> torch.dtype:
    """The dtype with this name.

    "auto" is bfloat16 on cuda; elsewhere it is bfloat16 for weights that are stored so, and float32
    for all others.

    Args:
        stored: the dtype of the weights on disk.

    Raises:
        ConfigError: the model does not run in this dtype.
    """
    if dtype == "auto":
        keeps = device.type == "cuda" or stored == torch.bfloat16
        return torch.bfloat16 if keeps else torch.float32
    found = _DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if found not in _DTYPES.values():
        raise ConfigError(
            f"dtype {dtype!r} is unknown: use one of auto, float32, bfloat16, float16"
        )
    assert found is not None
    return found


def has_fast_bf16(device: torch.device) -> bool:
    """Whether products in bf16 are as fast as in fp32, or faster.

    Processors without instructions for bf16 emulate them: a training step of petit takes 14 times
    as long on an AMD EPYC with AVX2 alone.
    """
    if device.type != "cpu":
        return True
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
