"""torch's errors for lack of memory on a device, as one line that says what helps."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import torch

from causerie.errors import DeviceMemoryError

P = ParamSpec("P")
T = TypeVar("T")


class OnDevice(Protocol):
    """Something that computes on a device."""

    @property
    def device(self) -> torch.device: ...


S = TypeVar("S", bound=OnDevice)
Method = Callable[Concatenate[S, P], T]


def within_memory(method: Method[S, P, T]) -> Method[S, P, T]:
    """The method, called again with what torch keeps freed if memory is short.

    Half of a call must not matter to a second one. That one raises DeviceMemoryError.
    """

    @functools.wraps(method)
    def wrapped(self: S, /, *given: P.args, **named: P.kwargs) -> T:
        try:
            return method(self, *given, **named)
        except torch.OutOfMemoryError:
            pass  # here the tensors of the failed call are gone
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        try:
            return method(self, *given, **named)
        except torch.OutOfMemoryError as error:
            raise DeviceMemoryError(shortage(self.device, error)) from None

    return wrapped


@contextmanager
def in_one_line() -> Iterator[None]:
    """Turn torch's error for lack of memory into DeviceMemoryError."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceMemoryError(shortage(_device_in(error), error)) from None


def _device_in(error: torch.OutOfMemoryError) -> torch.device:
    """The device that a message names, as "GPU 1"."""
    named = re.search(r"GPU (\d+)", str(error))
    return torch.device("cuda", int(named[1]) if named else 0)


def shortage(device: torch.device, error: torch.OutOfMemoryError) -> str:
    """What is short, in one line, by torch's message, which is a paragraph."""
    wanted = re.search(r"Tried to allocate ([\d.]+ \w+)", str(error))
    is_there = device.type == "cuda" and torch.cuda.is_available()
    free = f", {free_bytes(device) / 1e9:.2f} GB free" if is_there else ""
    needed = f": {wanted[1]} more needed" if wanted else ""
    return f"{device} is out of memory{needed}{free}: --max-streams with fewer, or --device cpu"


def free_bytes(device: torch.device) -> int:
    """Memory of a CUDA device that this process may still use."""
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + kept
