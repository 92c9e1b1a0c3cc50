"""The kernels' own tests in C++, which need no Python: see cpp/main.cpp.

They run here with the fastest kernels. `make test-aarch64` sets CXX to a cross compiler and
EMULATOR to the command that runs its programs.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from causerie.native import build
from causerie.native.library import load

ROOT = Path(__file__).parents[2]
TESTS = Path(__file__).parent / "cpp"
EMULATOR = shlex.split(os.environ.get("EMULATOR", ""))


def target() -> str:
    """The architecture that the compiler compiles for."""
    command = [*build.find_compiler(), "-dumpmachine"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.partition("-")[0]


def wanted() -> dict[str, list[str]]:
    """Kernels to test, and the flags they are compiled with.

    An emulated program is optimised as the libraries are. The libraries of this machine have tests
    in Python, so the program for it is compiled quickly, without optimisation.
    """
    if EMULATOR:
        return build.variants(target())
    kernels = load().kernels
    return {kernels: [*build.variants()[kernels], "-O0"]}


def program(kernels: str, flags: list[str]) -> Path:
    """The test program, compiled if it was not yet from these sources."""
    sources = sorted([*TESTS.glob("*.cpp"), *build.FOLDER.glob("*.cpp")])
    if not EMULATOR:  # what no test reaches is compiled for the library anyway
        untested = {"api.cpp", "csm.cpp", "llama.cpp", "mimi.cpp", "source_filter.cpp"}
        sources = [path for path in sources if path.name not in untested]
    digest = hashlib.sha256(repr((build.find_compiler(), build.FLAGS, flags)).encode())
    for path in sorted([*sources, *TESTS.glob("*.hpp"), *build.FOLDER.glob("*.hpp")]):
        digest.update(path.read_bytes())
    made = ROOT / "build" / "native-tests" / f"{kernels}-{digest.hexdigest()[:16]}"
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        build.compile_all({made: [*flags, f"-I{build.FOLDER}"]}, sources, [])
    return made


@pytest.mark.parametrize(("kernels", "flags"), wanted().items(), ids=wanted())
def test_kernels(kernels: str, flags: list[str]):
    command = [*EMULATOR, str(program(kernels, flags))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    print(f"{kernels} on {target()}: {done.stdout}", end="")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("0 checks failed"), done.stdout
    assert target() != "aarch64" or "NEON" in done.stdout
