"""Whether the Triton kernels can be compiled here. Triton needs a C compiler when it runs."""

from __future__ import annotations

import functools
import subprocess

import torch


@functools.cache
def problem(device: torch.device) -> str | None:
    """Why the kernels cannot run on a device, and what to install, in one line; None if they can.

    Compiles and runs a tiny kernel; the answer is kept.
    """
    if torch.version.hip is not None:
        return "the Triton kernels are for NVIDIA GPUs"
    try:
        import triton  # noqa: F401
    except ImportError:
        return "Triton is not installed: pip install triton"
    try:
        _try(device)
    except Exception as error:  # noqa: BLE001 Triton raises errors of every kind
        return explanation(error)
    return None


def explanation(error: BaseException) -> str:
    """What to install, by an error of Triton's; by its first line if that is not known."""
    said = str(error)
    if isinstance(error, subprocess.CalledProcessError):
        said += str(error.stderr or b"") + str(error.output or b"")
    if "Failed to find C compiler" in said:
        return "Triton found no C compiler: apt-get install gcc libc6-dev, or set CC"
    if "Python.h" in said:
        return "Triton's C compiler found no Python.h: apt-get install python3-dev"
    if isinstance(error, subprocess.CalledProcessError):
        return (
            "Triton's C compiler failed: apt-get install gcc libc6-dev python3-dev; "
            f"{error.cmd[0]} ended with {error.returncode}"
        )
    if "libcuda" in said:
        return (
            f"Triton found no libcuda.so, which is part of the driver: {said.partition(chr(10))[0]}"
        )
    first = said.strip().partition("\n")[0] or type(error).__name__
    return f"Triton cannot compile a kernel: {first}"


def _try(device: torch.device) -> None:
    """Compile and run a kernel.

    Raises:
        RuntimeError: it computes something else.
    """
    from causerie.kernels.tiny import add_one

    numbers = torch.arange(4, dtype=torch.float32, device=device)
    with torch.cuda.device_of(numbers):  # Triton launches on the current device
        add_one[(1,)](numbers, COUNT=4)
    if numbers.tolist() != [1, 2, 3, 4]:
        raise RuntimeError("a kernel that adds one computes something else")
