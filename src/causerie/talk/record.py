"""Records a conversation: the user on the left, the replies on the right, and a transcript."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from causerie.errors import AudioError


class Record:
    """A wav file of two channels, and a text file of the same name.

    Raises:
        AudioError: a file cannot be written.
    """

    def __init__(self, path: Path, sample_rate: int) -> None:
        self._num_samples, self._rate = 0, sample_rate
        try:
            self._sound: Any = soundfile.SoundFile(path, "w", sample_rate, 2, "PCM_16")
            self._text = path.with_suffix(".txt").open("w", encoding="utf-8")
        except (OSError, soundfile.LibsndfileError, TypeError, ValueError) as error:
            raise AudioError(f"cannot record to {path}: {error}; give a .wav file") from error

    def add(self, heard: NDArray[np.float32], played: NDArray[np.float32]) -> None:
        """Add a block of both channels, (N,) each."""
        self._sound.write(np.stack([heard, played], axis=1))
        self._num_samples += len(heard)

    def write(self, speaker: str, text: str) -> None:
        """Add a line to the transcript."""
        minutes, seconds = divmod(self._num_samples // self._rate, 60)
        self._text.write(f"[{minutes:02d}:{seconds:02d}] {speaker}: {text}\n")
        self._text.flush()

    def close(self) -> None:
        """Complete the files."""
        self._sound.close()
        self._text.close()
