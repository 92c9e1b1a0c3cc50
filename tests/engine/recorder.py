"""Simulates CUDA graphs on the CPU: it records the torch operations of a call.

Like a graph it repeats operations, not Python, on the tensors of the recording, and it refuses
operations that make the host wait for a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from causerie.engine.runners.cuda_graph import Graphs

_ATEN = torch.ops.aten
#: Operations that give the host a value, or a shape that depends on one.
_WAITING = {_ATEN._local_scalar_dense, _ATEN.nonzero, _ATEN.masked_select, _ATEN.unique_dim}
_INDEXING = {_ATEN.index, _ATEN.index_put, _ATEN.index_put_}


class Recorder(TorchDispatchMode):
    """Records operations while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, list[Any]]] = []

    @classmethod
    def graphs(cls) -> Graphs:
        return Graphs(cls.record)

    @classmethod
    def record(cls, compute: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        compute()  # the real one warms up
        recorder = cls()
        with recorder:
            result = compute()
        return lambda: recorder.replay(result), result

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        packet, waits = func.overloadpacket, f"{func} makes the host wait"
        assert packet not in _WAITING, waits
        if packet is _ATEN.where:  # which copies numbers to the device first
            assert all(isinstance(value, Tensor) and value.dim() for value in args), waits
        if packet in _INDEXING:  # which counts what is true in a mask
            assert all(index is None or index.dtype != torch.bool for index in args[1]), waits
        out = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, tree_flatten(out)[0]))
        return out

    def replay(self, result: Tensor) -> None:
        """Compute anew, and leave the outcome in the tensor of the recording."""
        now: dict[int, Any] = {}

        def current(value: Any) -> Any:
            return now.get(id(value), value) if isinstance(value, Tensor) else value

        for func, args, kwargs, outs in self.calls:
            given, named = tree_map(current, args), tree_map(current, kwargs)
            fresh = tree_flatten(func(*given, **named))[0]
            for old, new in zip(outs, fresh, strict=True):
                if isinstance(old, Tensor):
                    now[id(old)] = new
        if id(result) in now and now[id(result)] is not result:
            result.copy_(now[id(result)])
