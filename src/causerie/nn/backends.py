"""Which kernels torch may choose while something is computed.

torch keeps these choices for the whole process. Here they hold while any thread is inside, and are
what they were before once the last one has left. A CUDA graph repeats the kernels that were chosen
when it was recorded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


class Choice:
    """A choice of the process that holds while any thread is inside.

    Args:
        choose: makes the choice, and returns the function that undoes it.
    """

    def __init__(self, choose: Callable[[], Callable[[], object]]) -> None:
        self._choose = choose
        self._lock, self._num_inside = threading.Lock(), 0
        self._undo: Callable[[], object] = lambda: None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Hold the choice."""
        with self._lock:
            if not self._num_inside:
                self._undo = self._choose()
            self._num_inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._num_inside -= 1
                if not self._num_inside:
                    self._undo()


def _no_plans() -> Callable[[], object]:
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(False)
    return lambda: torch.backends.cuda.enable_cudnn_sdp(before)


def _exact() -> Callable[[], object]:
    conv, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    try:
        old = conv.allow_tf32, matmul.allow_tf32
    except RuntimeError:  # torch refuses to read these once the user has set the newer switches
        return _exact_by_newer_switches()
    conv.allow_tf32 = matmul.allow_tf32 = False

    def undo() -> None:
        conv.allow_tf32, matmul.allow_tf32 = old

    return undo


def _exact_by_newer_switches() -> Callable[[], object]:
    conv, matmul = torch.backends.cudnn.conv, torch.backends.cuda.matmul  # type: ignore[attr-defined]
    before = conv.fp32_precision, matmul.fp32_precision
    conv.fp32_precision = matmul.fp32_precision = "ieee"

    def undo() -> None:
        conv.fp32_precision, matmul.fp32_precision = before

    return undo


#: Attention with a mask by kernels that take any shape. cuDNN, which torch prefers for it on an
#: H100, H200 and B200, builds a plan of 23 to 37 ms for each new shape, in each thread.
without_plans = Choice(_no_plans)
#: Products and convolutions of fp32 in fp32. By default torch's convolutions are in TF32 on NVIDIA
#: GPUs, with 10 bits of mantissa, so that codes and sound differ from those of a CPU.
exact_fp32 = Choice(_exact)
