"""Protects state that threads share from Ctrl-C in the main thread and from `os.fork`."""

from __future__ import annotations

import os
import signal
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol


@contextmanager
def deferred_interrupt() -> Iterator[None]:
    """Delay Ctrl-C to the end of the block, so that it does not leave the block half done."""
    handler = None
    if threading.current_thread() is threading.main_thread():
        handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        yield
        return
    pending: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: pending.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if pending:
            handler(*pending[-1])


class Forked(Protocol):
    """An object whose locks and threads a forked child does not have."""

    def after_fork(self) -> None:
        """Called in the child, which has one thread: replace the locks, forget the threads."""


_registered: weakref.WeakSet[Forked] = weakref.WeakSet()


def register_fork(shared: Forked) -> None:
    """Call `after_fork` of an object, while it exists, in each forked child."""
    _registered.add(shared)


def _after_fork() -> None:
    for shared in list(_registered):
        shared.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)
