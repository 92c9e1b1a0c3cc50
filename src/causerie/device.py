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
    """The device with this name; "auto" is the first NVIDIA or AMD card that works, or the CPU.

    For speech, `causerie.engine.placement` knows better what "auto" should be.

    Raises:
        ConfigError: this machine has no such device, or torch cannot use it; says why.
    """
    if device == "auto":
        return next(iter(usable_cards()), torch.device("cpu"))
    there = [torch.device("cpu")]
    if torch.backends.mps.is_available():
        there.insert(0, torch.device("mps"))
    if torch.cuda.is_available():
        there = [torch.device("cuda", i) for i in range(torch.cuda.device_count())] + there
    names = ", ".join(["auto", *map(str, there)])
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ConfigError(f"device {device!r} is unknown: use one of {names}") from error
    if not any(found.type == d.type and found.index in (None, d.index or 0) for d in there):
        why = cuda_problem() if found.type == "cuda" else None
        reason = f": {why}" if why else ""
        raise ConfigError(f"device {str(device)!r} is not available{reason}; use one of {names}")
    problem = card_problem(found) if found.type == "cuda" else None
    if problem:
        raise ConfigError(f"device {str(device)!r} cannot be used: {problem}; use cpu")
    return found


def usable_cards() -> list[torch.device]:
    """The cards that torch has kernels for, in their order."""
    if cuda_problem():
        return []
    cards = [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    return [card for card in cards if card_problem(card) is None]


def cuda_problem() -> str | None:
    """Why there is no CUDA device at all; None if there is one."""
    if torch.cuda.is_available():
        return None
    if torch.version.cuda is None and torch.version.hip is None:
        return f"torch {torch.__version__} was installed without CUDA"
    try:
        torch.cuda.init()
    except (AssertionError, RuntimeError) as error:
        said = str(error).strip().partition("\n")[0]
        # "The NVIDIA driver on your system is too old (found version 12020). Please update …"
        return said.partition(". ")[0].rstrip(".")
    return "torch sees no card; nvidia-smi lists those that the driver sees"


def card_problem(card: torch.device) -> str | None:
    """Why torch has no kernels for a card: it is older, or newer, than those; None if it has."""
    if torch.version.hip is not None:
        return None  # torch names AMD's cards otherwise
    mine = torch.cuda.get_device_capability(card)
    images = [_capability(name) for name in torch.cuda.get_arch_list() if name.startswith("sm_")]
    ahead = [_capability(n) for n in torch.cuda.get_arch_list() if n.startswith("compute_")]
    if any(image[0] == mine[0] and image <= mine for image in images):
        return None
    if any(image <= mine for image in ahead):  # the driver compiles these
        return None
    known = ", ".join(f"{major}.{minor}" for major, minor in sorted({*images, *ahead})) or "none"
    return (
        f"{torch.cuda.get_device_name(card)} has compute capability {mine[0]}.{mine[1]}, and "
        f"torch {torch.__version__} has kernels for {known}"
    )


def _capability(name: str) -> tuple[int, int]:
    """The compute capability in a name such as "sm_86" or "sm_90a"."""
    digits = "".join(letter for letter in name.partition("_")[2] if letter.isdigit())
    return int(digits[:-1]), int(digits[-1])


def half_dtype(device: torch.device) -> torch.dtype:
    """The 16-bit dtype that a card computes in: bfloat16, or float16 before Ampere."""
    is_old = (
        device.type == "cuda"
        and torch.version.hip is None
        and torch.cuda.is_available()
        and torch.cuda.get_device_capability(device) < (8, 0)
    )
    return torch.float16 if is_old else torch.bfloat16


def find_dtype(
    dtype: str | torch.dtype, device: torch.device, stored: torch.dtype = torch.float32
) -> torch.dtype:
    """The dtype with this name.

    "auto" is bfloat16 on cuda, or float16 on a card without it; elsewhere it is bfloat16 for
    weights that are stored so, and float32 for all others.

    Args:
        stored: the dtype of the weights on disk.

    Raises:
        ConfigError: the model does not run in this dtype.
    """
    if dtype == "auto":
        if device.type == "cuda":
            return half_dtype(device)
        return torch.bfloat16 if stored == torch.bfloat16 else torch.float32
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
