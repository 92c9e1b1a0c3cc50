"""`Audio`: samples, and how they were generated."""

from __future__ import annotations

import base64
import html
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, overload

import numpy as np
from numpy.typing import NDArray

from causerie.audio import io, play, resample
from causerie.audio.comment import generated_comment

if TYPE_CHECKING:
    from torch import Tensor

#: Why a reply ended: at the model's stop frame, by the guard, or at the duration limit.
Stopped = Literal["end", "guard", "limit"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """How well a recognizer heard the words of a piece.

    Attributes:
        text: the piece as it is written.
        attempts: how often it was spoken; the best attempt was kept.
        words: number of words of the piece.
        missing, invented: numbers of words that were not heard, and of those that were heard
            besides.
        is_right: so few are wrong that the recognizer may have misheard them.
    """

    text: str
    attempts: int
    words: int
    missing: int
    invented: int
    is_right: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Audio:
    """Sound of one channel.

    Attributes:
        samples: (N,) fp32, full scale 1.
        sample_rate: in Hz.
        stopped: "end" if the model stopped by itself, "guard" if the guard ended the speech,
            "limit" at `max_duration_s`; None for sound that was not generated. So are the fields
            below.
        seed: the seed, which gives the same samples again.
        notes: warnings for the listener: dropped context, skipped characters, clipping.
        checks: of the pieces that were verified.
        codes: codes (K, T), for use as context: ``Segment(…, codes=audio.codes)``.
        first_sound_ms: time from the request to the first samples.
        rtf: real-time factor: computing time per second of sound; below 1 is faster than real time.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    stopped: Stopped | None = None
    seed: int | None = None
    notes: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    codes: Tensor | None = None
    first_sound_ms: float | None = None
    rtf: float | None = None

    def __post_init__(self) -> None:
        resample.check_rate(self.sample_rate)
        samples = np.asarray(self.samples)
        if samples.size:  # empty where the model stops at once
            samples = resample.mono(samples)
        object.__setattr__(self, "samples", samples.reshape(-1).astype(np.float32, copy=False))

    @classmethod
    def load(cls, path: str | os.PathLike[str] | bytes | BinaryIO) -> Audio:
        """The sound of a file of any rate and channel count, mixed down to one channel.

        Args:
            path: a path, the bytes of a file, or an open binary file: wav, flac, ogg, mp3, opus;
                with PyAV (extra `data`) also m4a, webm and others.

        Raises:
            AudioError: the file is missing, unreadable, empty or not finite.
        """
        samples, rate = io.read(path)
        return cls(samples=samples, sample_rate=rate)

    @property
    def duration_s(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.sample_rate

    @overload
    def save(self, path: str | os.PathLike[str], *, format: str | None = None) -> Path: ...

    @overload
    def save(self, path: BinaryIO, *, format: str | None = None) -> None: ...

    def save(
        self, path: str | os.PathLike[str] | BinaryIO, *, format: str | None = None
    ) -> Path | None:
        """Write a sound file; returns its path. Generated speech says so in the file's comment.

        Args:
            path: a path, or an open binary file.
            format: wav, flac, ogg, mp3, opus or m4a. None takes the extension of the path, and wav
                for an open file.

        Raises:
            AudioError: the format is unknown, or the path cannot be written.
            ConfigError: the format needs PyAV (extra `data` or `server`), as m4a does.
        """
        if isinstance(path, (str, os.PathLike)):
            return io.write(path, self.samples, self.sample_rate, format, self._comment)
        path.write(self.to_bytes(format=format or "wav"))
        return None

    def to_bytes(self, *, format: str = "wav") -> bytes:
        """The contents of a sound file: wav, flac, ogg, mp3, opus or m4a.

        Raises:
            AudioError, ConfigError: as `save`.
        """
        return io.encode(self.samples, self.sample_rate, format, self._comment)

    @property
    def _comment(self) -> str:
        return "" if self.seed is None else generated_comment()

    def play(self) -> None:
        """Play the sound and wait for the end.

        Raises:
            AudioError: there is no sound device or no player; says what to do.
        """
        play.play(self.samples, self.sample_rate)

    def resampled(self, sample_rate: int) -> NDArray[np.float32]:
        """Samples (N,) at another rate."""
        return resample.resample(self.samples, self.sample_rate, sample_rate)

    def _repr_html_(self) -> str:
        """A player, for notebooks."""
        data = base64.b64encode(self.to_bytes()).decode("ascii")
        notes = "".join(f"<br>{html.escape(note)}" for note in self.notes)
        return f'<audio controls src="data:audio/wav;base64,{data}"></audio>{notes}'

    def __repr__(self) -> str:
        parts = [f"{self.duration_s:.2f} s", f"{self.sample_rate} Hz"]
        parts += [f"stopped: {self.stopped}"] if self.stopped else []
        parts += [f"seed {self.seed}"] if self.seed is not None else []
        return f"<Audio {', '.join(parts)}>"
