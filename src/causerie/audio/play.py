"""Plays sound on this machine: by the `sounddevice` package, or by a program."""

from __future__ import annotations

import re
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

#: Programs that play a wav file and exit, with their arguments.
PROGRAMS = {
    "aplay": ["-q"],
    "afplay": [],
    "paplay": [],
    "pw-play": [],
    "ffplay": ["-autoexit", "-nodisp", "-loglevel", "error"],
}
#: ffplay exits with 0 and this message if there is no sound device.
_FAILED = re.compile(r"audio open failed|Failed to open file|Could not initialize SDL")

_ADVICE = (
    "save it to a file instead (-o speech.wav, Audio.save), or `pip install sounddevice`, "
    f"or install one of {', '.join(PROGRAMS)}"
)


def play(samples: NDArray[np.float32], sample_rate: int) -> None:
    """Play samples (N,) and wait for the end.

    Raises:
        AudioError: no device and no program can play it; says what to do.
    """
    device = sound_device()
    if device is not None:
        with _as_audio_error(device):
            device.play(samples, sample_rate, blocking=True)
        return
    programs = find_programs()
    if not programs:
        raise AudioError(f"no sound device and no player was found; {_ADVICE}")
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        path = io.write(Path(folder) / "speech.wav", samples, sample_rate)
        for program in programs:
            failure = _play_by(program, path)
            if failure is None:
                return
            failures.append(f"{Path(program).stem} could not play: {failure}")
    raise AudioError(f"{', '.join(failures)}; {_ADVICE}")


def _play_by(program: str, path: Path) -> str | None:
    """Play a file by a program; returns the reason if that failed."""
    command = [program, *PROGRAMS[Path(program).stem], str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stderr.strip().splitlines()
    if done.returncode:
        return lines[0] if lines else f"exit code {done.returncode}"
    return next((line for line in lines if _FAILED.search(line)), None)


def find_programs() -> list[str]:
    """The paths of the players on this machine, the preferred one first."""
    return [path for path in map(shutil.which, PROGRAMS) if path]


def find_program() -> str | None:
    """The path of the preferred player on this machine."""
    return next(iter(find_programs()), None)


def sound_device() -> ModuleType | None:
    """The `sounddevice` package, if it is installed and finds an output."""
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
def _as_audio_error(device: Any) -> Iterator[None]:
    """Raise AudioError for an error of the device."""
    try:
        yield
    except device.PortAudioError as error:
        raise AudioError(f"the sound device could not play: {error}; {_ADVICE}") from error


class Loudspeaker:
    """Plays pieces of sound one after another.

    If the device fails, it is silent from then on and raises nothing, as the sound may also be
    written to a file.

    Args:
        device: from `sound_device`.

    Attributes:
        failure: the error of the device; None while it works.
    """

    def __init__(self, device: Any, sample_rate: int) -> None:
        self.failure: AudioError | None = None
        self._device, self._stream = device, None
        with self._recording_failure():
            self._stream = device.OutputStream(samplerate=sample_rate, channels=1, dtype="float32")

    def __enter__(self) -> Loudspeaker:
        with self._recording_failure():
            if self._stream is not None:
                self._stream.start()
        return self

    def write(self, samples: NDArray[np.float32]) -> None:
        """Queue samples (N,); waits while the queue is full."""
        with self._recording_failure():
            if self._stream is not None:
                self._stream.write(np.ascontiguousarray(samples[:, None]))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._recording_failure():
            if self._stream is not None:
                if error is None:
                    self._stream.stop()  # waits until the queue is played
                else:
                    self._stream.abort()
                self._stream.close()

    @contextmanager
    def _recording_failure(self) -> Iterator[None]:
        try:
            with _as_audio_error(self._device):
                yield
        except AudioError as error:
            self.failure, self._stream = error, None
