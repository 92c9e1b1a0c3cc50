"""Counts the bytes of live tensors, on the meta device too, and the operations that make some."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Watch(TorchDispatchMode):
    """Sees each operation while it is entered."""

    def see(self, func: Any, args: Any, kwargs: Mapping[str, Any], out: Any) -> None:
        """An operation was computed."""
        raise NotImplementedError

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        self.see(func, args, kwargs or {}, out)
        return out


class Live(Watch):
    """Follows the storages that operations make while it is entered.

    Attributes:
        now, peak: bytes of the live ones, and the most there were.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._alive: dict[int, int] = {}

    def add(self, tensors: Iterable[Tensor]) -> None:
        """Follow tensors, each storage once."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            key, size = storage._cdata, storage.nbytes()
            if key not in self._alive:
                self._alive[key] = size
                self.now += size
                weakref.finalize(storage, self._forget, key)
        self.peak = max(self.peak, self.now)

    def _forget(self, key: int) -> None:
        self.now -= self._alive.pop(key)

    def see(self, func: Any, args: Any, kwargs: Mapping[str, Any], out: Any) -> None:
        """See `Watch`."""
        self.add(leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor))


class Short(Watch):
    """A device whose memory does not suffice for one allocation, the `failing`th from now.

    Attributes:
        count: of allocations so far.
    """

    def __init__(self, failing: int | None = None) -> None:
        super().__init__()
        self.count, self._failing = 0, failing

    def see(self, func: Any, args: Any, kwargs: Mapping[str, Any], out: Any) -> None:
        """See `Watch`."""
        if _makes_new(out, args):
            self.count += 1
            if self.count == self._failing:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")


class Launches(Watch):
    """Counts operations that write: views and empty tensors launch nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def see(self, func: Any, args: Any, kwargs: Mapping[str, Any], out: Any) -> None:
        """See `Watch`."""
        is_empty = func.overloadpacket.__name__ in ("empty", "detach")
        self.count += not is_empty and (func._schema.is_mutable or _makes_new(out, args))


def _makes_new(out: Any, args: Any) -> bool:
    """Whether an operation returned storage that it was not given."""
    given = {t.untyped_storage()._cdata for t in tree_leaves(args) if isinstance(t, Tensor)}
    made = [t for t in tree_leaves(out) if isinstance(t, Tensor)]
    return any(t.untyped_storage()._cdata not in given for t in made)
