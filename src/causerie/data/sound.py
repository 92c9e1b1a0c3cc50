"""Reads a recording of any format as mono at one rate, and finds clipped samples.

Reads block by block, so that an hour of stereo takes no more memory than its result. libsndfile
reads wav, flac, ogg, mp3 and others; FFmpeg by PyAV reads the rest (m4a, webm, wma, video …).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from causerie.audio.ffmpeg import decoding
from causerie.audio.recording import is_clipped
from causerie.audio.resample import check_mixed, check_rate
from causerie.errors import AudioError

#: Extensions of files that may contain audio.
EXTENSIONS = frozenset(
    ".wav .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .au .caf .w64 .rf64 .m4a .m4b .mp4 .aac .wma "
    ".webm .mka .mkv .mov .avi .amr .3gp .ac3".split()
)
#: Largest block, in values of all channels: four times 10 s of stereo at 48 kHz.
MAX_BLOCK = 4_000_000

_Block = NDArray[np.float32]  # (N, channels)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sound:
    """A recording, mixed down and resampled.

    Attributes:
        samples: (N,) fp32, full scale 1.
        sample_rate: sample rate of `samples`.
        native_rate: sample rate of the file.
        clipped: times of the file's clipped samples in seconds, sorted.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    native_rate: int
    clipped: NDArray[np.float64]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

    def clipped_share(self, start_s: float, end_s: float) -> float:
        """The share of clipped samples from `start_s` to `end_s`."""
        first, last = np.searchsorted(self.clipped, (start_s, end_s))
        return float(last - first) / max(1.0, (end_s - start_s) * self.native_rate)


def read_sound(source: Path | bytes, sample_rate: int, *, max_s: float | None = None) -> Sound:
    """Read a sound file at `sample_rate`.

    Args:
        source: a path, or the file's bytes.
        max_s: limit of its length; reading stops there.

    Raises:
        AudioError: the file is missing, unreadable, empty, too long or not finite, or its channels
            cancel each other.
        ConfigError: the format needs PyAV, which is not installed.
    """
    if isinstance(source, Path) and not source.is_file():
        raise AudioError(f"{source} does not exist")
    name = "the recording" if isinstance(source, bytes) else str(source)
    try:
        with soundfile.SoundFile(_opened(source)) as file:
            rate = int(file.samplerate)
            size = max(1, min(10 * rate, MAX_BLOCK // file.channels))
            blocks = file.blocks(blocksize=size, dtype="float32", always_2d=True)
            return _gather(name, rate, blocks, sample_rate, max_s)
    except soundfile.LibsndfileError:
        with decoding(_opened(source), name) as (rate, blocks):
            return _gather(name, rate, blocks, sample_rate, max_s)


def _opened(source: Path | bytes) -> Any:
    return io.BytesIO(source) if isinstance(source, bytes) else str(source)


def _gather(
    name: str, rate: int, blocks: Iterator[_Block], sample_rate: int, max_s: float | None
) -> Sound:
    check_rate(rate, name)
    resampler = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ")
    pieces: list[NDArray[np.float32]] = []
    clipped: list[NDArray[np.float64]] = []
    num_read, power, mixed_power = 0, 0.0, 0.0
    for block in blocks:
        if not np.isfinite(block).all():
            raise AudioError(f"{name} has samples that are not finite (NaN or inf)")
        clipped.append((np.flatnonzero(is_clipped(block)) + num_read) / rate)
        num_read += len(block)
        if max_s is not None and num_read > max_s * rate:
            raise AudioError(f"{name} is longer than {max_s:g} s: shorten it")
        mixed = block.mean(axis=1, dtype=np.float64).astype(np.float32)
        power += float(np.square(block).sum(dtype=np.float64)) / block.shape[1]
        mixed_power += float(np.square(mixed).sum(dtype=np.float64))
        pieces.append(mixed if rate == sample_rate else resampler.resample_chunk(mixed))
    if rate != sample_rate:
        pieces.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
    samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    if not len(samples):
        raise AudioError(f"{name} is empty: it has no samples")
    check_mixed(power / num_read, mixed_power / num_read, name)
    return Sound(
        samples=samples,
        sample_rate=sample_rate,
        native_rate=rate,
        clipped=np.concatenate(clipped),
    )
