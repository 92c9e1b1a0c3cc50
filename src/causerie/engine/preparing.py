"""Does what a runner would otherwise do when it is first needed, such as recording graphs.

    preparing = Preparing(engine)
    preparing.now(urgent_only=True)     # before the first reply
    preparing.in_background()           # the rest, while nobody speaks
    preparing.now()                     # or at once: waits for the end

It takes turns with the steps of the engine, a piece at a time, so that a reply that comes meanwhile
waits for one piece only.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import deque
from contextlib import AbstractContextManager
from typing import Protocol

from causerie.engine.runner import Preparation, Runner

log = logging.getLogger("causerie.engine")

#: Seconds between two looks at whether the engine is idle.
LOOK_S = 0.2


class Turns(Protocol):
    """What is needed of an engine.

    Attributes:
        runner: is prepared.
    """

    runner: Runner

    def turn(self, *, idle_s: float | None = None) -> AbstractContextManager[bool]:
        """Keep steps out; see `Engine.turn`."""


class Preparing:
    """The preparations of an engine's runner that are left. Any thread may call it."""

    def __init__(self, engine: Turns) -> None:
        self._engine = weakref.ref(engine)  # the engine holds this
        self._left: deque[Preparation] = deque(engine.runner.preparations())
        self._num, self._num_done, self._spent_s = len(self._left), 0, 0.0

    def __len__(self) -> int:
        return len(self._left)

    def now(self, *, urgent_only: bool = False) -> None:
        """Do what is left, or what is urgent, between steps; waits for pieces of other threads."""
        engine = self._engine()
        assert engine is not None
        is_over = False
        while not is_over:
            with engine.turn():
                is_over = not self._left or (urgent_only and not self._left[0].is_urgent)
                if not is_over:
                    self._next()

    def in_background(self) -> None:
        """Do what is left in a thread, while the engine has no requests."""
        if self._left:
            threading.Thread(target=self._run, name="causerie-prepare").start()

    def _run(self) -> None:
        is_over = False
        while not is_over and threading.main_thread().is_alive():
            engine = self._engine()
            if engine is None:
                return
            try:
                is_over = self._one_while_idle(engine)
            except Exception:
                log.exception("preparing stopped with %d of %d left", len(self._left), self._num)
                return
            del engine  # nobody else may need it any more

    def _one_while_idle(self, engine: Turns) -> bool:
        """Do a piece if the engine is idle soon; whether none is left."""
        with engine.turn(idle_s=LOOK_S) as is_idle:
            if is_idle and self._left:
                self._next()
        return not self._left

    def _next(self) -> None:
        piece = self._left.popleft()
        started = time.perf_counter()
        piece.run()
        self._spent_s += time.perf_counter() - started
        self._num_done += 1
        if not self._left or self._left[0].what != piece.what:
            log.info(
                "recorded graphs of %s: %d of %d, %.1f s so far",
                piece.what, self._num_done, self._num, self._spent_s,
            )  # fmt: skip
