"""Kills a process before each step of a write to the voice store, one process per step.

python -m tests.server.voices.killed_store FOLDER KIND  prints the number of kills until success

The steps are the calls that bring a file to the disk, rename it, or remove it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
from typing import Any

from causerie.errors import UnknownVoiceError
from tests.server.voices.test_store import RATE, SOUND, consent, store

STEPS = ("fsync", "replace", "unlink")


def die_at(number: int) -> None:
    """Die before step `number`."""
    remaining = itertools.count(number, -1)

    def counted(call: Any) -> Any:
        def step(*args: Any, **kwargs: Any) -> Any:
            if next(remaining) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return step

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))


def main(where: str, kind: str) -> None:
    id = consent(store(where))
    for number in itertools.count():
        child = os.fork()
        if child == 0:
            die_at(number)
            if kind == "voice":
                store(where).add(f"voice {number}", SOUND, RATE, "Hello.")
            elif kind == "rename":
                store(where).consents.rename(id, f"name {number}")
            else:
                with contextlib.suppress(
                    UnknownVoiceError
                ):  # the previous process was killed after the removal
                    store(where).delete("first")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            print(number)
            return
        assert os.WTERMSIG(status) == signal.SIGKILL


if __name__ == "__main__":
    main(*sys.argv[1:])
