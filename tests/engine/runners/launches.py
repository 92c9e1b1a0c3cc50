"""Counts the kernels that a frame launches on a GPU, without one: on tensors without storage.

An operation of torch that is not a view counts as one kernel, and so does attention.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from causerie.config import CSMConfig
from causerie.engine.runners import slot_kernels
from causerie.engine.runners.slot_model import SlotModel
from causerie.model.csm import CSM

_ATEN = torch.ops.aten
#: Operations that launch nothing and are not marked as views.
_NOTHING = {_ATEN._unsafe_view, _ATEN.empty, _ATEN.new_empty, _ATEN.empty_like, _ATEN.empty_strided}


class Launches(TorchDispatchMode):
    """Counts kernels by their names while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.torch, self.triton = Counter[str](), Counter[str]()

    @property
    def total(self) -> int:
        return self.torch.total() + self.triton.total()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if not func.is_view and func.overloadpacket not in _NOTHING:
            self.torch[str(func.overloadpacket)] += 1
        return func(*args, **(kwargs or {}))

    def attention(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        """One kernel in place of torch's, which is many operations on other devices."""
        self.torch["attention"] += 1
        return torch.empty_like(q)

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Count, and launch no kernel of Triton."""
        with mock.patch.object(slot_kernels, "rows", _Kernels(self.triton)), self:
            yield


class _Kernels:
    """Kernels that are counted in place of a launch."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts

    def __getattr__(self, name: str) -> Any:
        class Kernel:
            def __getitem__(kernel, grid: object) -> Callable[..., None]:
                return lambda *args, **kwargs: self._counts.update([name])

        return Kernel()


@torch.inference_mode()
def launches(
    config: CSMConfig, size: int, *, kernel_slots: int, length: int = 256, most: int = 64
) -> tuple[Launches, Launches]:
    """The kernels that read a row of each of some slots, and those that draw their codes."""
    reading, drawing = Launches(), Launches()
    now = [reading]
    with torch.device("meta"):
        slots = SlotModel(
            CSM(config).to(torch.bfloat16), size, length + 1, config.audio_vocab_size - 3,
            attention=lambda *args: now[0].attention(*args),
        )  # fmt: skip
        model = slot_kernels.KernelModel(slots, min(kernel_slots, size)) if kernel_slots else slots
        reader = model if size <= kernel_slots else slots
        rows = torch.empty(size, 1, config.num_codebooks + 1, dtype=torch.int64)
        numbers = torch.empty(size, 4, dtype=torch.int64)
        hidden = torch.empty(size, config.backbone.dim, dtype=torch.bfloat16)
        settings = torch.empty(size, 3)
        with reading.counted():
            reader.read(rows, numbers[:, :1], length)
        now[0] = drawing
        with drawing.counted():
            model.draw(
                hidden, numbers[:, 0], numbers[:, 1], settings[:, :2], numbers[:, 2:],
                settings[:, 2], most=most,
            )  # fmt: skip
    return reading, drawing
