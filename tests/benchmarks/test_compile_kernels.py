"""compile_kernels.py: the kernels compile for GPUs that are not there, and keep to registers."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

pytest.importorskip("triton", reason="Triton is for Linux")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def compile_kernels(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("compile_kernels")


def test_the_table_says_what_spills(compile_kernels: ModuleType) -> None:
    made = compile_kernels.Compiled
    found = [
        made(name="head", shape="rows=1", arch=90, registers=56, spilled=0),
        made(name="head", shape="rows=1", arch=90, registers=60, spilled=0),  # of other options
        made(name="head", shape="rows=1", arch=80, registers=255, spilled=16),
        made(name="join", shape="", arch=90, registers=26, spilled=0),
    ]
    assert list(compile_kernels.table(found)) == [
        "| kernel | sm_80 | sm_90 |",
        "| --- | ---: | ---: |",
        "| head rows=1 | 255, **spills 16 B** | 60 |",
        "| join | – | 26 |",
    ]


def test_spills_are_read(compile_kernels: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers that lie on the stack or in local memory."""
    said = "Resource usage:\n Function head:\n  REG:255 STACK:16 SHARED:0 LOCAL:8 CONSTANT[0]:960"
    done = SimpleNamespace(stdout=said)
    monkeypatch.setattr(compile_kernels.subprocess, "run", lambda *_, **__: done)
    kernel = SimpleNamespace(asm={"cubin": b""}, metadata=SimpleNamespace(shared=4096))
    assert compile_kernels._usage(kernel, 90, "rows=1") == compile_kernels.Compiled(
        name="head", shape="rows=1", arch=90, registers=255, spilled=24, shared=4096
    )


@pytest.mark.parametrize(("arch", "most"), [(80, 163), (86, 99), (90, 227), (75, 99)])
def test_what_does_not_fit_into_shared_memory(
    arch: int, most: int, compile_kernels: ModuleType
) -> None:
    """A kernel that needs more compiles, and cannot be launched."""
    for more in (0, 1):
        one = compile_kernels.Compiled(
            name="head", shape="", arch=arch, registers=9, spilled=0, shared=1024 * most + more
        )
        assert one.is_too_large == bool(more)


@pytest.mark.slow
def test_one_stream_compiles_without_spills() -> None:
    """In a process of its own, as Triton interprets kernels in this one."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, str(ROOT / "benchmarks" / "compile_kernels.py"), "--rows", "1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text, _, shared = done.stdout.partition("\n\n")
    head, _, *lines = text.splitlines()
    assert head == "| kernel | sm_80 | sm_86 | sm_89 | sm_90 | sm_120 |"
    kernels = {line.split()[1] for line in lines}
    assert kernels == {
        "add_product", "attend", "attend_add_product", "gate_up", "head_sample", "join", "noise",
        "query_key_value", "sample",
    }  # fmt: skip
    assert not any("–" in line or "spills" in line for line in lines)
    assert shared.startswith("shared memory: at most ")
