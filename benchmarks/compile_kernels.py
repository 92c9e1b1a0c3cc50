"""Compiles the Triton kernels for GPUs that are not there, and reads their registers and memory.

    python benchmarks/compile_kernels.py               csm-1b's shapes for five generations of GPUs
    python benchmarks/compile_kernels.py --rows 1      one stream only, as CI does
    python benchmarks/compile_kernels.py --archs 90 --rows 1,8 --int8

The real host code launches the kernels on tensors without storage; instead of a launch, Triton
compiles them by its own ptxas for one architecture after another. Compiled kernels are kept in
Triton's cache. Prints a table; the exit code is 1 if a kernel does not compile, spills registers to
memory or needs more shared memory than the GPU has, and 2 without Triton.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

#: A100, RTX 30, RTX 40, H100, RTX 50, as numbers of compute capabilities.
ARCHS = (80, 86, 89, 90, 120)
#: KiB of shared memory that a program may use, by the CUDA C++ Programming Guide.
SHARED_KB = {80: 163, 86: 99, 89: 99, 90: 227, 120: 99}
ROWS = (1, 2, 4, 8)
#: Positions that a step attends to: in one part and in several.
LENGTHS = (256, 2048)
_USAGE = re.compile(r"Function (\w+):\s*\n\s*REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """A kernel for one architecture.

    Attributes:
        shape: what distinguishes it from others of its name.
        spilled: bytes of registers that lie in memory, per thread.
        shared: bytes of shared memory, per program.
    """

    name: str
    shape: str
    arch: int
    registers: int
    spilled: int
    shared: int = 0

    @property
    def is_too_large(self) -> bool:
        """Whether it cannot be launched for lack of shared memory."""
        return self.shared > 1024 * SHARED_KB.get(self.arch, min(SHARED_KB.values()))


class Driver:
    """Stands in for Triton's driver of a GPU of this architecture."""

    def __init__(self, arch: int) -> None:
        self._arch = arch

    def get_current_target(self) -> Any:
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", self._arch, 32)

    def get_current_device(self) -> int:
        return self._arch  # for each architecture a device of its own, with its own cache

    def get_current_stream(self, device: int) -> int:
        return 0


def compile_for(arch: int, rows: Sequence[int], *, int8: bool) -> list[Compiled]:
    """Compile the kernels of a frame of csm-1b for an architecture."""
    from triton.runtime import driver
    from triton.runtime.jit import JITFunction

    from causerie.engine.runners import slot_kernels

    run, found = JITFunction.run, dict[str, Compiled]()
    before = driver._active if hasattr(driver, "_active") else None

    def compile_only(self: Any, *args: Any, grid: Any, warmup: bool, **options: Any) -> None:
        kernel = run(self, *args, grid=grid, warmup=True, **options)
        if kernel.hash not in found:
            found[kernel.hash] = _usage(kernel, arch, _shape(options))

    driver.set_active(Driver(arch))
    starts_early = slot_kernels.starts_early
    slot_kernels.starts_early = lambda device: arch >= 90
    JITFunction.run = compile_only
    try:
        for size in rows:
            frame(size, int8=int8)
    finally:
        JITFunction.run, slot_kernels.starts_early = run, starts_early
        driver._active = before
    return list(found.values())


@torch.inference_mode()
def frame(size: int, *, int8: bool) -> None:
    """Launch the kernels of a frame of slots of csm-1b, with one layer each."""
    from causerie.config import csm_1b
    from causerie.engine.runners.slot_kernels import KernelModel
    from causerie.engine.runners.slot_model import SlotModel
    from causerie.model.csm import CSM

    config = csm_1b()
    config = dataclasses.replace(
        config,
        backbone=dataclasses.replace(config.backbone, num_layers=1),
        depth=dataclasses.replace(config.depth, num_layers=1),
    )
    with torch.device("meta"):
        model = CSM(config).to(torch.bfloat16)
        slots = SlotModel(model, size, max(LENGTHS) + 1, 2048, depth_int8=int8)
        kernels = KernelModel(slots, size)
        rows = torch.empty(size, 1, config.num_codebooks + 1, dtype=torch.int64)
        numbers = torch.empty(size, 8, dtype=torch.int64)
        hidden = torch.empty(size, config.backbone.dim, dtype=torch.bfloat16)
        settings = torch.empty(size, 3)
    for length in LENGTHS:
        kernels.read(rows, numbers[:, :1], length)
    for most in (0, 64):
        kernels.draw(
            hidden, numbers[:, 1], numbers[:, 2], settings[:, :2], numbers[:, 3:5], settings[:, 2],
            most=most,
        )  # fmt: skip


def table(found: Sequence[Compiled]) -> Iterator[str]:
    """Lines of a table in Markdown: registers by kernel and architecture, and what spills."""
    archs = sorted({one.arch for one in found})
    yield "| kernel | " + " | ".join(f"sm_{arch}" for arch in archs) + " |"
    yield "| --- |" + " ---: |" * len(archs)
    by_kernel: dict[str, dict[int, list[Compiled]]] = {}
    for one in found:
        kinds = by_kernel.setdefault(f"{one.name} {one.shape}".strip(), {})
        kinds.setdefault(one.arch, []).append(one)
    for name, kinds in sorted(by_kernel.items()):
        yield f"| {name} | " + " | ".join(_cell(kinds.get(arch, [])) for arch in archs) + " |"


def _cell(found: Sequence[Compiled]) -> str:
    if not found:
        return "–"
    most = max(one.registers for one in found)
    spilled = max(one.spilled for one in found)
    return f"{most}, **spills {spilled} B**" if spilled else str(most)


def _shape(options: dict[str, Any]) -> str:
    """The sizes that matter for the registers."""
    names = {"NUM_ROWS": "rows", "BLOCK_N": "n", "BLOCK_K": "k", "NUM_PARTS": "parts"}
    names |= {"BLOCK_V": "codes", "HAS_TOP_K": "top-k"}
    return " ".join(
        f"{short}={options[name]:d}" for name, short in names.items() if name in options
    )


def _usage(kernel: Any, arch: int, shape: str) -> Compiled:
    """What a compiled kernel uses, by Triton's own cuobjdump."""
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        done = subprocess.run(
            [tool, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True
        )
    match = _USAGE.search(done.stdout)
    assert match is not None, done.stdout
    name, registers, stack, _, local = match.groups()
    return Compiled(
        name=name, shape=shape, arch=arch, registers=int(registers),
        spilled=int(stack) + int(local), shared=kernel.metadata.shared,
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile and print; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--archs", type=_numbers, default=list(ARCHS))
    parser.add_argument("--rows", type=_numbers, default=list(ROWS), help="slots of a step")
    parser.add_argument("--int8", action="store_true", help="a depth decoder in int8")
    given = parser.parse_args(arguments)
    if find_spec("triton") is None:
        print("compile_kernels: Triton is not installed", file=sys.stderr)
        return 2
    os.environ.pop("TRITON_INTERPRET", None)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(len(given.archs), os.cpu_count() or 1), context) as pool:
        parts = [
            pool.submit(compile_for, arch, given.rows, int8=given.int8) for arch in given.archs
        ]
        found = [one for part in parts for one in part.result()]
    print("\n".join(table(found)))
    spilling = sorted({f"{one.name} on sm_{one.arch}" for one in found if one.spilled})
    if spilling:
        print(f"compile_kernels: registers spill: {', '.join(spilling)}", file=sys.stderr)
    large = sorted({f"{one.name} on sm_{one.arch}" for one in found if one.is_too_large})
    if large:
        print(f"compile_kernels: too much shared memory: {', '.join(large)}", file=sys.stderr)
    most = max(one.shared for one in found)
    print(f"\nshared memory: at most {most / 1024:.1f} KiB")
    return int(bool(spilling or large))


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
