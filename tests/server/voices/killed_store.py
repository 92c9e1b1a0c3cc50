"""Voices and consents that are being written as the system kills the process, at every step of it.

python -m tests.server.voices.killed_store FOLDER KIND  prints how many kills it took to get through

Each step of a write (file made, written, on the disk, in its place, the folder on the disk) is
killed at once before it, in a process of its own.
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
    """Die before step `number` of all that count."""
    left = itertools.count(number, -1)

    def counted(work: Any) -> Any:
        def step(*args: Any, **kwargs: Any) -> Any:
            if next(left) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return work(*args, **kwargs)

        return step

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))


def main(where: str, kind: str) -> None:
    kept = store(where)
    id = consent(kept)
    for number in itertools.count():
        child = os.fork()
        if child == 0:
            die_at(number)
            if kind == "voice":
                store(where).add(f"voice {number}", SOUND, RATE, "Hello.")
            elif kind == "rename":
                store(where).consents.rename(id, f"name {number}")
            else:
                with contextlib.suppress(UnknownVoiceError):  # the last kill was after it went
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
