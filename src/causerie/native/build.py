"""Compiles the kernels: one library for each kind of processor, beside the sources.

`hatch_build.py` runs it when the package is built or installed, `python -m causerie.native`
by hand. Imports nothing but the standard library: it runs where the package is not installed yet.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

#: Kernels → what the compiler may use for them. The first that the machine runs is taken.
X86 = {
    "avx512": (
        "-mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16 -mavx512vnni -mavx2 -mfma"
    ).split(),
    "avx2": ["-mavx2", "-mfma"],
    "generic": [],
}
OTHERS: dict[str, list[str]] = {"generic": []}

#: Sums must not depend on how an expression was compiled, so nothing is fused or reordered unasked.
FLAGS = (
    "-std=c++17 -O3 -fPIC -pthread -fvisibility=hidden -ffp-contract=off "
    "-Wall -Wextra -Wno-maybe-uninitialized"
).split()


class BuildError(Exception):
    """There is no compiler, or it refuses the sources."""


def variants() -> dict[str, list[str]]:
    """Kernels that can be built for this machine's architecture."""
    return X86 if platform.machine().lower() in ("x86_64", "amd64") else OTHERS


def library(kernels: str) -> Path:
    """Where the library of those kernels is."""
    return FOLDER / f"causerie_{kernels}.so"


def source_hash() -> str:
    """Of all that the libraries are made of; each of them holds that of its own sources."""
    digest = hashlib.sha256(repr((FLAGS, variants())).encode())
    for path in sorted([*FOLDER.glob("*.cpp"), *FOLDER.glob("*.hpp")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def find_compiler() -> list[str]:
    """The command of a C++ compiler that takes the flags of GCC: `CXX`, or the first one there is.

    Raises:
        BuildError: there is none.
    """
    if os.environ.get("CXX"):
        return os.environ["CXX"].split()
    for name in ("c++", "g++", "clang++"):
        if found := shutil.which(name):
            return [found]
    raise BuildError("no C++ compiler was found (c++, g++, clang++, or what CXX names)")


def is_current(kernels: str) -> bool:
    """Whether that library was built from the sources as they are."""
    path = library(kernels)
    return path.is_file() and source_hash().encode() in path.read_bytes()


def build() -> list[Path]:
    """Compile the libraries that are not current, and put each in its place once it is whole.

    Raises:
        BuildError: with what the compiler says.
    """
    wanted = {name: flags for name, flags in variants().items() if not is_current(name)}
    if wanted:
        _compile(wanted)
    return [library(kernels) for kernels in variants()]


def _compile(wanted: dict[str, list[str]]) -> None:
    compiler = find_compiler()
    flags = [*FLAGS, f'-DCAUSERIE_SOURCE_HASH="{source_hash()}"']
    if "clang" not in _run([*compiler, "--version"]):
        flags.append("-fno-gnu-unique")  # two libraries in one process share nothing
    sources = sorted(FOLDER.glob("*.cpp"))
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        commands, objects = [], {name: list[str]() for name in wanted}
        for name, options in wanted.items():
            for source in sources:
                objects[name].append(str(Path(folder, f"{source.stem}.{name}.o")))
                target = ["-c", "-o", objects[name][-1], str(source)]
                commands.append([*compiler, *flags, *options, *target])
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(_run, commands))
        for name in wanted:
            made = Path(folder, library(name).name)
            _run([*compiler, "-shared", "-pthread", "-o", str(made), *objects[name]])
            made.replace(library(name))


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise BuildError(f"the C++ compiler {command[0]} cannot be run: {error}") from error
    if done.returncode:
        raise BuildError(f"{command[0]} refuses {command[-1]}\n{done.stderr or done.stdout}")
    return done.stdout


def main() -> None:
    """Build, and say what was built."""
    try:
        for path in build():
            print(path)
    except BuildError as error:
        sys.exit(f"the native kernels cannot be built: {error}")
