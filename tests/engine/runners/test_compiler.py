"""A compiler for the Triton kernels: it is tried, and its lack is one line and no failure."""

from __future__ import annotations

import builtins
import contextlib
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from causerie.engine.placement import describe_kernels
from causerie.engine.runners import choose
from causerie.engine.runners.batched import BatchedRunner
from causerie.kernels import compiler
from tests import tiny

CPU, ZERO = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    problem = compiler.problem
    problem.cache_clear()
    yield
    problem.cache_clear()


def test_a_kernel_runs_here() -> None:
    """By the interpreter, as the kernels in tests do."""
    pytest.importorskip("triton", reason="Triton is for Linux")
    assert compiler.problem(CPU) is None


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            RuntimeError("Failed to find C compiler. Please specify via CC environment variable."),
            "Triton found no C compiler: apt-get install gcc libc6-dev, or set CC",
        ),
        (
            subprocess.CalledProcessError(
                1, ["/usr/bin/gcc", "main.c"], stderr=b"fatal error: Python.h: No such file"
            ),
            "Triton's C compiler found no Python.h: apt-get install python3-dev",
        ),
        (
            subprocess.CalledProcessError(1, ["/usr/bin/gcc", "main.c"]),
            "Triton's C compiler failed: apt-get install gcc libc6-dev python3-dev; "
            "/usr/bin/gcc ended with 1",
        ),
        (
            AssertionError("libcuda.so cannot found!\nPossible files are located at …"),
            "Triton found no libcuda.so, which is part of the driver: libcuda.so cannot found!",
        ),
        (ValueError("something\nelse"), "Triton cannot compile a kernel: something"),
        (ValueError(), "Triton cannot compile a kernel: ValueError"),
    ],
)
def test_what_to_install_is_one_line(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("triton", reason="Triton is for Linux")

    def fail(_: torch.device) -> None:
        raise error

    monkeypatch.setattr(compiler, "_try", fail)
    assert compiler.problem(ZERO) == line
    assert "no faster" not in line
    assert describe_kernels(ZERO).endswith(f"without gain: {line}")


def test_it_runs_on_the_device_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton launches on the current device, whatever the tensors are on."""
    pytest.importorskip("triton", reason="Triton is for Linux")
    from causerie.kernels import tiny as kernels

    current = list[torch.device]()

    @contextlib.contextmanager
    def device_of(tensor: torch.Tensor) -> Iterator[None]:
        current.append(tensor.device)
        yield
        current.pop()

    class Kernel:
        def __getitem__(self, grid: object) -> Any:
            def launch(numbers: torch.Tensor, **_: object) -> None:
                assert current == [numbers.device]
                numbers += 1

            return launch

    monkeypatch.setattr(torch.cuda, "device_of", device_of)
    monkeypatch.setattr(kernels, "add_one", Kernel())
    assert compiler.problem(CPU) is None


def test_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *given: Any, **named: Any) -> Any:
        if name == "triton":
            raise ImportError(name)
        return real(name, *given, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    assert compiler.problem(ZERO) == "Triton is not installed: pip install triton"


def test_int8_falls_back_to_torchs_kernels(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With one warning; the weights are rounded all the same."""
    monkeypatch.setattr(compiler, "problem", lambda _: "Triton found no C compiler: get one")
    assert choose._kernel_slots(ZERO) == 0
    assert "no faster than bfloat16: Triton found no C compiler" in caplog.text
    monkeypatch.setattr(compiler, "problem", lambda _: None)
    assert choose._kernel_slots(ZERO) == choose.KERNEL_SLOTS
    assert choose._kernel_slots(CPU) == 0
    runner = choose.new_runner(tiny.checkpoint(), 1, depth_format="int8", kernels="batched")
    assert isinstance(runner, BatchedRunner)
    assert runner._model.int8_heads is not None


def test_other_makers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "hip", "7.0")
    assert compiler.problem(ZERO) == "the Triton kernels are for NVIDIA GPUs"
    assert describe_kernels(ZERO) == "torch's own, by calls"
    assert describe_kernels(torch.device("mps")) == "torch's own, by calls"
