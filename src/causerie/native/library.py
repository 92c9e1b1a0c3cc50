"""Finds the libraries that `build` compiled, and loads the fastest one that this machine runs.

A library that was built from other sources than those beside it is never used.
``CAUSERIE_NATIVE=0`` turns all libraries off. Knows nothing about what the functions compute.
"""

from __future__ import annotations

import ctypes
import functools
import os

from causerie.errors import ConfigError
from causerie.native import build


class Library:
    """A loaded library.

    Attributes:
        kernels: "avx512", "avx2" or "generic".
        functions: the C++ functions; their users declare the types.
    """

    def __init__(self, kernels: str) -> None:
        self.kernels = kernels
        self.functions = ctypes.CDLL(str(build.library(kernels)))
        self.functions.causerie_source_hash.restype = ctypes.c_char_p

    @property
    def source_hash(self) -> str:
        found: bytes = self.functions.causerie_source_hash()
        return found.decode()


@functools.cache
def load(kernels: str | None = None) -> Library:
    """The library with these kernels, by default the fastest that this machine runs.

    Raises:
        ConfigError: the kernels are turned off, not built, or built from other sources.
    """
    if reason := problem():
        raise ConfigError(f"the native kernels cannot be used: {reason}")
    runs = runnable()
    if kernels is not None and kernels not in runs:
        raise ConfigError(f"this machine does not run {kernels!r} kernels, only {', '.join(runs)}")
    return Library(kernels or runs[0])


def problem() -> str | None:
    """Why the native kernels cannot be used; None if they can."""
    if os.environ.get("CAUSERIE_NATIVE") == "0":
        return "CAUSERIE_NATIVE=0 turns them off"
    again, wanted = "`python -m causerie.native` builds them", build.source_hash()
    for kernels in build.variants():
        if not build.library(kernels).is_file():
            return f"they were not built, perhaps without a C++ compiler; {again}"
        try:
            built_from = Library(kernels).source_hash if kernels in runnable() else None
        except OSError as error:
            return f"{build.library(kernels).name} cannot be loaded ({error}); {again}"
        if built_from not in (None, wanted):
            return f"{build.library(kernels).name} was built from other sources; {again}"
    return None


@functools.cache
def runnable() -> list[str]:
    """The kernels that this machine runs, fastest first."""
    ask = ctypes.CDLL(str(build.library("generic"))).causerie_runs
    return [kernels for kernels in build.variants() if ask(kernels.encode())]


def describe() -> str:
    """The kernels in use, or why none are, in one line."""
    reason = problem()
    return f"not in use: {reason}" if reason else load().kernels
