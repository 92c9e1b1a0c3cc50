"""`Audio`: a piece of sound, and what is known of how it was made."""

from __future__ import annotations

import base64
import html
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from causerie.audio import io, play, resample

if TYPE_CHECKING:
    from torch import Tensor

#: Why a reply ended: by the model's stop frame, or at the longest duration allowed.
Stopped = Literal["end", "limit"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Audio:
    """Sound of one channel.

    Attributes:
        samples: (N,) fp32, full scale 1.
        sample_rate: in Hz.
        stopped: "end" where the model ended by itself, "limit" where `max_duration_s` did; None
            for sound that was not generated. The same for the fields below.
        seed: generates the same again.
        notes: what the listener should know: dropped context, unread characters, clipping.
        codes: (K, T) of the codec, to go on from: ``Segment(…, codes=audio.codes)``.
        first_sound_ms: from the request to the first samples.
        rtf: seconds of computing a second of sound; below 1 is faster than real time.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    stopped: Stopped | None = None
    seed: int | None = None
    notes: list[str] = field(default_factory=list)
    codes: Tensor | None = None
    first_sound_ms: float | None = None
    rtf: float | None = None

    def __post_init__(self) -> None:
        resample.check_rate(self.sample_rate)
        samples = np.asarray(self.samples)
        if samples.size:  # a reply may be empty: the model may stop at once
            samples = resample.mono(samples)
        object.__setattr__(self, "samples", samples.reshape(-1).astype(np.float32, copy=False))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Audio:
        """A sound file of any rate and channel count, mixed down.

        Raises:
            AudioError: missing, unreadable, empty or not finite.
        """
        samples, rate = io.read(path)
        return cls(samples=samples, sample_rate=rate)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a wav, flac or ogg file, by the extension of `path`.

        Raises:
            AudioError: another extension, or a path that cannot be written.
        """
        return io.write(path, self.samples, self.sample_rate)

    def play(self) -> None:
        """Play it and wait for the end.

        Raises:
            AudioError: no sound device and no player; says what to do.
        """
        play.play(self.samples, self.sample_rate)

    def resampled(self, sample_rate: int) -> NDArray[np.float32]:
        """Samples (N,) at another rate."""
        return resample.resample(self.samples, self.sample_rate, sample_rate)

    def _repr_html_(self) -> str:
        """A player, for notebooks."""
        wav = io.wav_header(self.sample_rate, len(self.samples))
        wav += io.pcm16(self.samples).tobytes()
        data = base64.b64encode(wav).decode("ascii")
        notes = "".join(f"<br>{html.escape(note)}" for note in self.notes)
        return f'<audio controls src="data:audio/wav;base64,{data}"></audio>{notes}'

    def __repr__(self) -> str:
        parts = [f"{self.duration_s:.2f} s", f"{self.sample_rate} Hz"]
        parts += [f"stopped: {self.stopped}"] if self.stopped else []
        parts += [f"seed {self.seed}"] if self.seed is not None else []
        return f"<Audio {', '.join(parts)}>"
