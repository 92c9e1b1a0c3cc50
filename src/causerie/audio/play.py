"""Plays sound on the machine's loudspeaker: by the `sounddevice` package, else by a program."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causerie.audio import io
from causerie.errors import AudioError

#: Programs that play a wav file and then end, with their arguments.
PROGRAMS = {
    "aplay": ["-q"],
    "afplay": [],
    "ffplay": ["-autoexit", "-nodisp", "-loglevel", "error"],
    "paplay": [],
    "pw-play": [],
}

_ADVICE = (
    "save it to a file instead (-o speech.wav, Audio.save), or `pip install sounddevice`, "
    f"or install one of {', '.join(PROGRAMS)}"
)


def play(samples: NDArray[np.float32], sample_rate: int) -> None:
    """Play samples (N,) and wait for their end.

    Raises:
        AudioError: there is nothing to play with, or it failed; says what to do.
    """
    device = sound_device()
    if device is not None:
        with _told(device):
            device.play(samples, sample_rate, blocking=True)
        return
    program = find_program()
    if program is None:
        raise AudioError(f"no sound device and no player was found; {_ADVICE}")
    with tempfile.TemporaryDirectory() as folder:
        path = io.write(Path(folder) / "speech.wav", samples, sample_rate)
        command = [program, *PROGRAMS[Path(program).stem], str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
        raise AudioError(f"{Path(program).stem} could not play: {said}; {_ADVICE}")


def find_program() -> str | None:
    """The path of the first player on this machine."""
    found = (shutil.which(name) for name in PROGRAMS)
    return next((path for path in found if path), None)


def sound_device() -> ModuleType | None:
    """The `sounddevice` package, where it is installed and finds an output."""
    try:
        import sounddevice
    except (ImportError, OSError):  # OSError: the package is there, PortAudio is not
        return None
    try:
        sounddevice.query_devices(kind="output")
    except (sounddevice.PortAudioError, ValueError):
        return None
    module: ModuleType = sounddevice
    return module


@contextmanager
def _told(device: Any) -> Iterator[None]:
    """The device's errors as ours."""
    try:
        yield
    except device.PortAudioError as error:
        raise AudioError(f"the sound device could not play: {error}; {_ADVICE}") from error


class Loudspeaker:
    """Plays pieces of sound one after another as they come.

    A device that fails is silent from then on and raises nothing: the sound may have other ways
    to go.

    Args:
        device: what `sound_device` gives.

    Attributes:
        failure: of the device, None as long as it works.
    """

    def __init__(self, device: Any, sample_rate: int) -> None:
        self.failure: AudioError | None = None
        self._device, self._stream = device, None
        with self._dropping():
            self._stream = device.OutputStream(samplerate=sample_rate, channels=1, dtype="float32")

    def __enter__(self) -> Loudspeaker:
        with self._dropping():
            if self._stream is not None:
                self._stream.start()
        return self

    def write(self, samples: NDArray[np.float32]) -> None:
        """Queue samples (N,); waits where the queue is full."""
        with self._dropping():
            if self._stream is not None:
                self._stream.write(np.ascontiguousarray(samples[:, None]))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._dropping():
            if self._stream is not None:
                if error is None:
                    self._stream.stop()  # waits for what is queued
                else:
                    self._stream.abort()
                self._stream.close()

    @contextmanager
    def _dropping(self) -> Iterator[None]:
        try:
            with _told(self._device):
                yield
        except AudioError as error:
            self.failure, self._stream = error, None
