"""Decodes sound files block by block, mixed down to one channel: the one reader of recordings.

A file of some kilobytes may claim, or hold, hours of sound in many channels. Here length, rate and
channels are limited, and memory is taken for one block and for what the caller keeps. libsndfile
reads wav, flac, ogg, mp3 and others; FFmpeg by PyAV reads the rest (m4a, webm, wma, video …).
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import soundfile
from numpy.typing import NDArray

from causerie.audio import ffmpeg
from causerie.audio.resample import check_mixed, check_rate
from causerie.errors import AudioError, ConfigError

#: Largest block, in values of all channels: four times 10 s of stereo at 48 kHz.
MAX_BLOCK = 4_000_000
MAX_CHANNELS = 64
#: Seconds of the longest recording, if the caller sets no limit.
MAX_S = 24 * 3600.0

Samples = NDArray[np.float32]
#: Blocks of a recording: the mean of all channels (N,), and the channels (N, C).
Blocks = Iterator[tuple[Samples, Samples]]
Result = TypeVar("Result")


def decode(
    source: str | os.PathLike[str] | bytes,
    name: str,
    use: Callable[[int, Blocks], Result],
    *,
    max_s: float = MAX_S,
) -> Result:
    """What `use` makes of the sample rate and the blocks of a sound file.

    Args:
        source: a path, or the file's bytes.
        name: the file's name in errors.
        use: reads all blocks. It is called again if libsndfile fails in the middle of the file.
        max_s: limit of the length in seconds; decoding stops there.

    Raises:
        AudioError: the file cannot be read as sound; it is empty, too long or not finite; its rate
            or number of channels is out of range; or its channels cancel each other.
    """
    opened: Any = io.BytesIO(source) if isinstance(source, bytes) else os.fspath(source)
    try:
        with soundfile.SoundFile(opened) as file:
            blocks = _libsndfile_blocks(file)
            return use(*_checked(file.samplerate, file.channels, blocks, name, max_s))
    except soundfile.LibsndfileError as error:
        reason = f"{name} cannot be read as sound: {error.error_string.rstrip('.')}"
    if isinstance(source, bytes):
        opened.seek(0)
    try:
        with ffmpeg.decoding(opened, name) as (rate, num_channels, more):
            return use(*_checked(rate, num_channels, more, name, max_s))
    except ConfigError as error:  # PyAV is not installed
        raise AudioError(
            f"{reason}; wav, flac, ogg, opus and mp3 files work, and m4a and others after "
            f'pip install "causerie[data]"'
        ) from error
    except ffmpeg.UnreadableError as error:
        raise AudioError(f"{reason}; wav, flac, ogg, opus, mp3 and m4a files work") from error


def _libsndfile_blocks(file: soundfile.SoundFile) -> Iterator[Samples]:
    """The blocks of a file, until there are no more: its header may claim any length."""
    size = max(1, min(10 * file.samplerate, MAX_BLOCK // file.channels))
    while len(block := file.read(size, dtype="float32", always_2d=True)):
        yield block


def _checked(
    rate: int, num_channels: int, blocks: Iterator[Samples], name: str, max_s: float
) -> tuple[int, Blocks]:
    check_rate(rate, name)
    if not 1 <= num_channels <= MAX_CHANNELS:
        raise AudioError(f"{name} has {num_channels} channels: 1 to {MAX_CHANNELS} are allowed")
    return rate, _mixed(rate, blocks, name, max_s)


def _mixed(rate: int, blocks: Iterator[Samples], name: str, max_s: float) -> Blocks:
    num_read, power, mixed_power = 0, 0.0, 0.0
    for block in blocks:
        num_read += len(block)
        if num_read > max_s * rate:
            raise AudioError(f"{name} is longer than {_length(max_s)}: shorten it")
        if not np.isfinite(block).all():
            raise AudioError(f"{name} has samples that are not finite (NaN or inf)")
        mixed = block.mean(axis=1, dtype=np.float64).astype(np.float32)
        power += float(np.square(block).sum(dtype=np.float64)) / block.shape[1]
        mixed_power += float(np.square(mixed).sum(dtype=np.float64))
        yield mixed, block
    if not num_read:
        raise AudioError(f"{name} is empty: it has no samples")
    check_mixed(power / num_read, mixed_power / num_read, name)


def _length(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 3600 else f"{seconds / 3600:g} h"
