"""Compiles the kernels: one library for each kind of processor, next to the sources.

`hatch_build.py` runs it when the package is built or installed; `python -m causerie.native` runs it
by hand. It imports only the standard library, because it runs before the package is installed.
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

#: Kernels → the instructions that the compiler may use. The first that the machine runs is loaded.
X86 = {
    "avx512": (
        "-mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16 -mavx512vnni -mavx2 -mfma"
    ).split(),
    "avx2": ["-mavx2", "-mfma"],
    "generic": [],
}
OTHERS: dict[str, list[str]] = {"generic": []}  # on AArch64 with NEON, which all of them have

#: Sums must not depend on how an expression was compiled, so nothing is fused or reordered unasked.
FLAGS = (
    "-std=c++17 -O3 -fPIC -pthread -fvisibility=hidden -ffp-contract=off -Wall -Wextra"
).split()


class BuildError(Exception):
    """No compiler was found, or it failed."""


def variants(machine: str | None = None) -> dict[str, list[str]]:
    """Kernels for an architecture, by default this machine's."""
    return X86 if (machine or platform.machine()).lower() in ("x86_64", "amd64") else OTHERS


def library(kernels: str) -> Path:
    """The path of the library of these kernels."""
    return FOLDER / f"causerie_{kernels}.so"


def source_hash() -> str:
    """The hash of sources and flags. Each library holds the hash of those it was built from."""
    digest = hashlib.sha256(repr((FLAGS, variants())).encode())
    for path in sorted([*FOLDER.glob("*.cpp"), *FOLDER.glob("*.hpp")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def find_compiler() -> list[str]:
    """The command of a C++ compiler that takes GCC's flags: `CXX`, or the first one on the path.

    Raises:
        BuildError: no compiler was found.
    """
    if os.environ.get("CXX"):
        return os.environ["CXX"].split()
    for name in ("c++", "g++", "clang++"):
        if found := shutil.which(name):
            return [found]
    raise BuildError("no C++ compiler was found (c++, g++, clang++, or the one in CXX)")


def is_current(kernels: str) -> bool:
    """Whether the library was built from the current sources."""
    path = library(kernels)
    return path.is_file() and source_hash().encode() in path.read_bytes()


def build() -> list[Path]:
    """Compile the libraries that are not current, and return the paths of all.

    Raises:
        BuildError: with the compiler's message.
    """
    wanted = {library(name): flags for name, flags in variants().items() if not is_current(name)}
    if wanted:
        compile_all(wanted, sorted(FOLDER.glob("*.cpp")), ["-shared"])
    return [library(kernels) for kernels in variants()]


def compile_all(wanted: dict[Path, list[str]], sources: list[Path], link: list[str]) -> None:
    """Compile the sources into each wanted file, with its own flags, and replace it when complete.

    Args:
        link: flags for the linker: libraries with ["-shared"], programs without.

    Raises:
        BuildError: with the compiler's message.
    """
    compiler = find_compiler()
    flags = [*FLAGS, f'-DCAUSERIE_SOURCE_HASH="{source_hash()}"']
    if "clang" not in _run([*compiler, "--version"]):
        flags += ["-fno-gnu-unique", "-Wno-maybe-uninitialized"]  # two libraries share nothing
    with tempfile.TemporaryDirectory(dir=next(iter(wanted)).parent) as folder:
        commands, objects = [], {path: list[str]() for path in wanted}
        for path, options in wanted.items():
            for source in sources:
                objects[path].append(str(Path(folder, f"{source.stem}.{path.stem}.o")))
                target = ["-c", "-o", objects[path][-1], str(source)]
                commands.append([*compiler, *flags, *options, *target])
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(_run, commands))
        for path in wanted:
            made = Path(folder, path.name)
            _run([*compiler, *link, "-pthread", "-o", str(made), *objects[path]])
            made.replace(path)


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise BuildError(f"the C++ compiler {command[0]} cannot be run: {error}") from error
    if done.returncode:
        raise BuildError(f"{command[0]} failed on {command[-1]}\n{done.stderr or done.stdout}")
    return done.stdout


def main() -> None:
    """Build the libraries and print their paths."""
    try:
        for path in build():
            print(path)
    except BuildError as error:
        sys.exit(f"the native kernels cannot be built: {error}")
