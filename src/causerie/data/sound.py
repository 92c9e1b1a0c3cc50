"""Reads a recording of any format as mono at one rate, and finds clipped samples.

An hour of stereo takes no more memory than its result.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from causerie.audio.decode import MAX_S, Blocks, decode
from causerie.audio.recording import is_clipped
from causerie.errors import AudioError

#: Extensions of files that may contain audio.
EXTENSIONS = frozenset(
    ".wav .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .au .caf .w64 .rf64 .m4a .m4b .mp4 .aac .wma "
    ".webm .mka .mkv .mov .avi .amr .3gp .ac3".split()
)
CLIPPED_STEP_S = 0.001


@dataclass(frozen=True, kw_only=True, eq=False)
class Sound:
    """A recording, mixed down and resampled.

    Attributes:
        samples: (N,) fp32, full scale 1.
        sample_rate: sample rate of `samples`.
        native_rate: sample rate of the file.
        clipped: times in seconds of the first clipped sample in each millisecond of the file.
        num_clipped: clipped samples in each of these milliseconds.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    native_rate: int
    clipped: NDArray[np.float64]
    num_clipped: NDArray[np.int64]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

    def clipped_share(self, start_s: float, end_s: float) -> float:
        """The share of clipped samples from `start_s` to `end_s`."""
        first, last = np.searchsorted(self.clipped, (start_s, end_s))
        return float(self.num_clipped[first:last].sum()) / max(
            1.0, (end_s - start_s) * self.native_rate
        )


def read_sound(source: Path | bytes, sample_rate: int, *, max_s: float = MAX_S) -> Sound:
    """Read a sound file at `sample_rate`.

    Args:
        source: a path, or the file's bytes.
        max_s: limit of its length; reading stops there.

    Raises:
        AudioError: as `decode`, or the file is missing.
    """
    if isinstance(source, Path) and not source.is_file():
        raise AudioError(f"{source} does not exist")
    name = "the recording" if isinstance(source, bytes) else str(source)

    def gather(rate: int, blocks: Blocks) -> Sound:
        resampler = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ")
        step, num_read = max(1, round(CLIPPED_STEP_S * rate)), 0
        pieces: list[NDArray[np.float32]] = []
        clipped: list[NDArray[np.float64]] = []
        num_clipped: list[NDArray[np.int64]] = []
        for mixed, channels in blocks:
            pieces.append(mixed if rate == sample_rate else resampler.resample_chunk(mixed))
            places = np.flatnonzero(is_clipped(channels)) + num_read
            _, firsts, counts = np.unique(places // step, return_index=True, return_counts=True)
            clipped.append(places[firsts] / rate)
            num_clipped.append(counts)
            num_read += len(mixed)
        if rate != sample_rate:
            pieces.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        return Sound(
            samples=np.concatenate(pieces),
            sample_rate=sample_rate,
            native_rate=rate,
            clipped=np.concatenate(clipped),
            num_clipped=np.concatenate(num_clipped),
        )

    return decode(source, name, gather, max_s=max_s)
