"""Kills training runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from causerie.train.loop import Loop

OnStep = Callable[[int, dict[str, float]], None]


class Killed(Exception):
    pass


def run_and_kill(train: Callable[[OnStep], Any]) -> None:
    """Train with a save every 2 steps, and kill the run at step 3."""

    def kill(step: int, numbers: dict[str, float]) -> None:
        if step == 3:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(Loop.__init__.__kwdefaults__, "save_every", 2)
        with pytest.raises(Killed):
            train(kill)
