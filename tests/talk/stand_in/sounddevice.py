"""Stands in for the package sounddevice: a sound file is the microphone, another the loudspeaker.

The environment says which: MICROPHONE is heard in real time, then silence. When the loudspeaker has
been silent for SILENCE_S after something was played, or WAIT_S without, the user presses Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import numpy as np
import soundfile

SILENCE_S, WAIT_S = 2.0, 90.0
# Ctrl-C ends the program, also where the tests run in the background and a shell has it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)


class PortAudioError(Exception):
    """As of sounddevice."""


class Stream:
    """As of sounddevice."""

    def __init__(self, *, samplerate: int, blocksize: int, callback: Any, **options: Any) -> None:
        self._rate, self._size, self._callback = samplerate, blocksize, callback
        self._played: list[np.ndarray] = []
        self._is_open = True
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._is_open = False
        self._thread.join()
        soundfile.write(os.environ["LOUDSPEAKER"], np.concatenate(self._played), self._rate)

    def _run(self) -> None:
        microphone, rate = soundfile.read(os.environ["MICROPHONE"], dtype="float32")
        assert rate == self._rate
        started, silent, has_played = time.monotonic(), 0, False
        while self._is_open:
            at = len(self._played) * self._size
            time.sleep(max(0.0, started + at / self._rate - time.monotonic()))
            heard, out = (
                np.zeros((self._size, 1), np.float32),
                np.zeros((self._size, 1), np.float32),
            )
            part = microphone[at : at + self._size]
            heard[: len(part), 0] = part
            self._callback(heard, out, self._size, None, None)
            self._played.append(out[:, 0])
            has_played = has_played or bool(out.any())
            silent = 0 if out.any() else silent + self._size
            if silent >= (SILENCE_S if has_played else WAIT_S) * self._rate:
                os.kill(os.getpid(), signal.SIGINT)
                silent = 0


def query_devices() -> str:
    """As of sounddevice."""
    return "0 a file"
