"""Reads and writes sound files; nothing about models or loudspeakers.

Reading takes whatever libsndfile knows (wav, flac, ogg, mp3, aiff …) at any rate and channel
count. Writing takes three formats, chosen by the file's extension.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from causerie.audio.resample import check_rate, mono
from causerie.errors import AudioError
from causerie.files import write_bytes

#: Extension → libsndfile's names of the format and of the encoding.
FORMATS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}
)


def read(source: str | os.PathLike[str] | bytes | BinaryIO) -> tuple[NDArray[np.float32], int]:
    """Samples (N,) fp32, all channels averaged, and the sample rate of a sound file.

    Args:
        source: a path, the bytes of a file, or an open binary file.

    Raises:
        AudioError: missing, unreadable, empty or not finite.
    """
    if isinstance(source, bytes):
        name, file = "audio", io.BytesIO(source)
    elif isinstance(source, (str, os.PathLike)):
        name = f"audio file {os.fspath(source)}"
        file = io.BytesIO(read_bytes(source))
    else:
        name, file = "audio", source  # type: ignore[assignment]
    try:
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{name} cannot be read as sound: {error.error_string.rstrip('.')}; "
            f"wav, flac, ogg and mp3 files work"
        ) from error
    if not len(samples):
        raise AudioError(f"{name} is empty: it has no samples")
    return mono(samples.mean(axis=1, dtype=np.float64), name), int(rate)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a sound file.

    Raises:
        AudioError: it cannot be opened.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        name = f"audio file {os.fspath(path)}"
        raise AudioError(f"{name} cannot be opened: {error.strerror}") from error


def check_extension(path: str | os.PathLike[str]) -> str:
    """The extension of a path, where it is one that can be written.

    Raises:
        AudioError: it is not; the message names those that are.
    """
    extension = Path(path).suffix.lower()
    if extension not in FORMATS:
        raise AudioError(
            f"cannot write {os.fspath(path)}: {extension or 'no'} extension; "
            f"use one of {', '.join(FORMATS)}"
        )
    return extension


def write(path: str | os.PathLike[str], samples: NDArray[np.float32], sample_rate: int) -> Path:
    """Write samples (N,) as 16-bit wav or flac, or as ogg (Vorbis), by the path's extension.

    Samples beyond full scale are clipped.

    Raises:
        AudioError: another extension, a folder that does not exist, samples not finite.
    """
    file_format, encoding = FORMATS[check_extension(path)]
    check_rate(sample_rate)
    if not np.isfinite(samples).all():
        raise AudioError(f"cannot write {os.fspath(path)}: samples are not finite (NaN or inf)")
    # Vorbis takes floats; and in pieces, since libsndfile keeps a whole block on the stack.
    data = np.clip(samples, -1, 1) if encoding == "VORBIS" else pcm16(samples)
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", samplerate=sample_rate, channels=1, format=file_format, subtype=encoding
    ) as file:
        for start in range(0, len(data), sample_rate):
            file.write(data[start : start + sample_rate])
    try:
        return write_bytes(path, buffer.getvalue())
    except OSError as error:
        raise AudioError(f"cannot write {os.fspath(path)}: {error.strerror}") from error


def pcm16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """16-bit samples, clipped at full scale; samples that were read come back as they were."""
    return np.clip(np.round(samples * 32768.0), -32768, 32767).astype("<i2")


def wav_header(sample_rate: int, num_samples: int | None = None) -> bytes:
    """The 44 bytes before the samples of a mono 16-bit wav.

    Args:
        num_samples: None where it is not known yet: both sizes are then 0xFFFFFFFF, which
            ffmpeg, VLC, sox, aplay and libsndfile read as "until the end".
    """
    size = 0xFFFFFFFF if num_samples is None else 2 * num_samples
    riff_size = 0xFFFFFFFF if num_samples is None else 36 + size
    header = struct.pack("<4sI4s", b"RIFF", riff_size, b"WAVE")
    header += struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    return header + struct.pack("<4sI", b"data", size)


class StreamingWav:
    """Writes a wav of yet unknown length to an open binary file, each piece at once."""

    def __init__(self, file: BinaryIO, sample_rate: int) -> None:
        self.file = file
        file.write(wav_header(sample_rate))
        file.flush()

    def write(self, samples: NDArray[np.float32]) -> None:
        """Append samples (N,)."""
        self.file.write(pcm16(samples).tobytes())
        self.file.flush()
