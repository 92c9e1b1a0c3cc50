"""Reads and writes sound files.

`decode` reads them. libsndfile writes wav, flac, ogg, opus and mp3, and FFmpeg (PyAV, extras `data`
and `server`) m4a. Does not know models or loudspeakers.
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

from causerie.audio.decode import MAX_S, Blocks, decode
from causerie.audio.extensions import FORMATS, format_of
from causerie.audio.resample import check_rate
from causerie.errors import AudioError
from causerie.files import write_bytes

#: File format → libsndfile's names of the format and the encoding.
_LIBSNDFILE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "wav": ("WAV", "PCM_16"),
        "flac": ("FLAC", "PCM_16"),
        "ogg": ("OGG", "VORBIS"),
        "mp3": ("MP3", "MPEG_LAYER_III"),  # since libsndfile 1.1
        "opus": ("OGG", "OPUS"),  # since libsndfile 1.0.29
    }
)


def read(
    source: str | os.PathLike[str] | bytes | BinaryIO, *, max_s: float = MAX_S
) -> tuple[NDArray[np.float32], int]:
    """Samples (N,) fp32, all channels averaged, and the sample rate of a sound file.

    Args:
        source: a path, the bytes of a file, or an open binary file.
        max_s: limit of its length in seconds.

    Raises:
        AudioError: as `decode`, or the file is missing.
    """
    if isinstance(source, bytes):
        name, contents = "audio", source
    elif isinstance(source, (str, os.PathLike)):
        name, contents = f"audio file {os.fspath(source)}", read_bytes(source)
    else:
        name, contents = "audio", source.read()

    def join(rate: int, blocks: Blocks) -> tuple[NDArray[np.float32], int]:
        return np.concatenate([mixed for mixed, _ in blocks]), rate

    return decode(contents, name, join, max_s=max_s)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a sound file.

    Raises:
        AudioError: the file cannot be opened.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        name = f"audio file {os.fspath(path)}"
        raise AudioError(f"{name} cannot be opened: {error.strerror}") from error


def encode(samples: NDArray[np.float32], sample_rate: int, format: str, comment: str = "") -> bytes:
    """The bytes of a sound file with samples (N,); wav and flac have 16 bits.

    Samples beyond full scale are clipped.

    Args:
        format: one of `FORMATS`.
        comment: kept in the file; "" for none.

    Raises:
        AudioError: the format is unknown or lacks the sample rate, or samples are not finite.
        ConfigError: the format needs PyAV, which is not installed.
    """
    if format not in FORMATS:
        raise AudioError(f"format {format!r} is unknown: use one of {', '.join(FORMATS)}")
    check_rate(sample_rate)
    if not np.isfinite(samples).all():
        raise AudioError(f"cannot write {format}: samples are not finite (NaN or inf)")
    container, encoding = _LIBSNDFILE.get(format, (None, ""))
    if container is None or encoding not in soundfile.available_subtypes(container):
        from causerie.audio import formats  # which imports this module

        return formats.encode(format, samples, sample_rate, comment)
    data = pcm16(samples) if encoding == "PCM_16" else np.clip(samples, -1, 1)
    buffer = io.BytesIO()
    try:
        with soundfile.SoundFile(
            buffer, "w", samplerate=sample_rate, channels=1, format=container, subtype=encoding
        ) as file:
            if comment and format != "wav":
                file.comment = comment
            # In pieces, as libsndfile keeps a whole block of Vorbis on the stack.
            for start in range(0, len(data), sample_rate):
                file.write(data[start : start + sample_rate])
            if comment and format == "wav":  # after the samples: many readers skip 44 bytes
                file.comment = comment
    except soundfile.LibsndfileError as error:
        reason = error.error_string.removeprefix("Error : ").rstrip(".")
        raise AudioError(f"cannot write {format} at {sample_rate} Hz: {reason}") from error
    return buffer.getvalue()


def write(
    path: str | os.PathLike[str],
    samples: NDArray[np.float32],
    sample_rate: int,
    format: str | None = None,
    comment: str = "",
) -> Path:
    """Write samples (N,) to a sound file, and return its path.

    Args:
        format: one of `FORMATS`; None takes it from the extension.
        comment: kept in the file; "" for none.

    Raises:
        AudioError, ConfigError: as `encode`; or the path cannot be written.
    """
    contents = encode(samples, sample_rate, format or format_of(path), comment)
    try:
        return write_bytes(path, contents)
    except OSError as error:
        raise AudioError(f"cannot write {os.fspath(path)}: {error.strerror}") from error


def pcm16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """16-bit samples, clipped at full scale; the inverse of reading 16-bit samples."""
    return np.clip(np.round(samples * 32768.0), -32768, 32767).astype("<i2")


def wav_header(sample_rate: int, num_samples: int | None = None, num_after: int = 0) -> bytes:
    """The 44 bytes before the samples of a mono 16-bit wav.

    Args:
        num_after: number of bytes that follow the samples.
        num_samples: None if not known yet: both sizes are then 0xFFFFFFFF, which ffmpeg, VLC,
            sox, aplay and libsndfile read as "until the end".
    """
    size = 0xFFFFFFFF if num_samples is None else 2 * num_samples
    riff_size = 0xFFFFFFFF if num_samples is None else 36 + size + num_after
    header = struct.pack("<4sI4s", b"RIFF", riff_size, b"WAVE")
    header += struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    return header + struct.pack("<4sI", b"data", size)


def wav_comment(comment: str) -> bytes:
    """The chunk with a comment, which follows the samples of a wav; as libsndfile writes it."""
    text = comment.encode("utf-8") + b"\0"
    text += b"\0" * (len(text) % 2)
    return struct.pack("<4sI4s4sI", b"LIST", 12 + len(text), b"INFO", b"ICMT", len(text)) + text


class StreamingWav:
    """Writes a wav of unknown length to an open binary file, piece by piece."""

    def __init__(self, file: BinaryIO, sample_rate: int) -> None:
        self.file = file
        file.write(wav_header(sample_rate))
        file.flush()

    def write(self, samples: NDArray[np.float32]) -> None:
        """Append samples (N,)."""
        self.file.write(pcm16(samples).tobytes())
        self.file.flush()
