"""Decodes sound files that libsndfile cannot read (m4a, webm, wma, films) by FFmpeg.

Needs PyAV (extras `data` and `server`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causerie.errors import AudioError
from causerie.extras import need

#: Containers that FFmpeg may open: none that refers to other files or addresses.
CONTAINERS = ",".join(
    "mov mp4 m4a 3gp 3g2 mj2 matroska webm aac mp3 ogg flac wav w64 aiff au caf asf avi amr ac3 "
    "eac3".split()
)


class UnreadableError(AudioError):
    """FFmpeg cannot read a file."""


@contextmanager
def decoding(source: Any, name: str) -> Iterator[tuple[int, int, Iterator[NDArray[np.float32]]]]:
    """The sample rate of a file, the number of its channels, and its samples in blocks (N, C).

    Args:
        source: a path as a string, or an open binary file.
        name: the file's name in errors.

    Raises:
        UnreadableError: FFmpeg cannot read the file either.
        ConfigError: PyAV is not installed.
    """
    av = need("av", "data")
    try:
        options = {"format_whitelist": CONTAINERS}
        with av.open(source, options=options, metadata_errors="replace") as container:
            if not container.streams.audio:
                raise UnreadableError(f"{name} holds no sound")
            stream = container.streams.audio[0]
            codec = stream.codec_context  # None for an unknown encoding
            if codec is None or not codec.sample_rate or not codec.channels:
                raise UnreadableError(f"{name} has a damaged header, or an unknown encoding")
            yield int(codec.sample_rate), int(codec.channels), _blocks(av, container, stream)
    except (av.FFmpegError, IndexError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadableError(f"{name} cannot be read as sound: {reason}") from error


def _blocks(av: Any, container: Any, stream: Any) -> Iterator[NDArray[np.float32]]:
    same = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
    for frame in container.decode(stream):
        for block in same.resample(frame):
            yield block.to_ndarray().T
    for block in same.resample(None):
        yield block.to_ndarray().T
