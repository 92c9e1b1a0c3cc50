"""Writes long audio block by block, with chapters, a cover and tags where the format has them.

m4b, m4a, mp3 and opus need PyAV (extra `narrate`).
"""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from causerie.audio.comment import generated_comment
from causerie.audio.formats import FORMATS, add_stream, av_frame
from causerie.audio.io import pcm16
from causerie.errors import AudioError
from causerie.extras import need

#: Extension → FFmpeg's container, and the format of `formats` whose codec it holds. mp4 allows
#: covers, which FFmpeg's container for iPods refuses.
_CONTAINERS = {
    "m4b": ("mp4", "aac"),
    "m4a": ("mp4", "aac"),
    "mp3": ("mp3", "mp3"),
    "opus": ("ogg", "opus"),
}
_PLAIN = ("flac", "wav")
#: Tags that libsndfile writes.
_PLAIN_TAGS = frozenset({"title", "artist", "album", "genre", "comment"})
BOOK_FORMATS = (*_CONTAINERS, *_PLAIN)
#: Formats with chapters and a cover.
WITH_CHAPTERS = ("m4b", "m4a", "mp3")
#: Enough for one voice.
_BIT_RATES = {"aac": 64_000, "mp3": 64_000, "opus": 32_000}


@dataclass(frozen=True)
class Mark:
    """A chapter of an audio file."""

    title: str
    start_s: float
    end_s: float


def write_book(
    path: Path,
    blocks: Iterable[NDArray[np.float32]],
    sample_rate: int,
    *,
    marks: Sequence[Mark] = (),
    tags: Mapping[str, str] | None = None,
    cover: bytes | None = None,
) -> Path:
    """Write samples to a file, which appears when it is complete.

    Args:
        path: its extension is one of `BOOK_FORMATS`.
        blocks: samples (N,) each.
        marks: left out where the format has no chapters.
        tags: such as title, artist and album. The comment says that the speech is generated.
        cover: a JPEG or PNG; left out where the format has no pictures.

    Raises:
        AudioError: the file cannot be written.
        ConfigError: PyAV is not installed.
    """
    extension = path.suffix[1:].lower()
    tags = {key: value for key, value in (tags or {}).items() if value}
    tags["comment"] = generated_comment()
    av = None if extension in _PLAIN else need("av", "narrate")
    errors = (OSError, soundfile.LibsndfileError) if av is None else (OSError, av.FFmpegError)
    partial = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        if av is None:
            _write_plain(partial, extension, blocks, sample_rate, tags)
        else:
            _write(av, partial, extension, blocks, sample_rate, marks, tags, cover)
        os.replace(partial, path)
    except errors as error:
        reason = getattr(error, "strerror", None) or error
        raise AudioError(f"cannot write {path}: {reason}") from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def _write_plain(
    path: Path,
    extension: str,
    blocks: Iterable[NDArray[np.float32]],
    sample_rate: int,
    tags: Mapping[str, str],
) -> None:
    with soundfile.SoundFile(
        path, "w", samplerate=sample_rate, channels=1, format=extension.upper(), subtype="PCM_16"
    ) as file:
        for key, value in tags.items():
            if key in _PLAIN_TAGS:
                setattr(file, key, value)
        for block in blocks:
            file.write(pcm16(block))


def _write(
    av: Any,
    path: Path,
    extension: str,
    blocks: Iterable[NDArray[np.float32]],
    sample_rate: int,
    marks: Sequence[Mark],
    tags: Mapping[str, str],
    cover: bytes | None,
) -> None:
    container_name, name = _CONTAINERS[extension]
    about = FORMATS[name]
    with av.open(str(path), "w", format=container_name) as container:
        container.metadata.update(tags)
        stream = add_stream(container, about, sample_rate, _BIT_RATES.get(name))
        picture = _add_cover(av, container, cover) if extension in WITH_CHAPTERS else None
        if extension in WITH_CHAPTERS and marks:
            container.set_chapters([_chapter(number, mark) for number, mark in enumerate(marks)])
        container.start_encoding()
        if picture is not None:
            container.mux(picture)
        done = 0
        for block in blocks:
            for start in range(0, len(block), 10 * sample_rate):
                part = block[start : start + 10 * sample_rate]
                container.mux(stream.encode(av_frame(part, about.wants, sample_rate, done)))
                done += len(part)
        container.mux(stream.encode(None))


def _chapter(number: int, mark: Mark) -> dict[str, Any]:
    return {
        "id": number,
        "start": round(1000 * mark.start_s),
        "end": round(1000 * mark.end_s),
        "time_base": Fraction(1, 1000),
        "metadata": {"title": mark.title},
    }


def _add_cover(av: Any, container: Any, cover: bytes | None) -> Any:
    """The packet of a picture, whose stream is added; None if there is none that can be read."""
    if cover is None:
        return None
    try:
        with av.open(io.BytesIO(cover)) as picture:
            video = picture.streams.video[0]
            codec, width, height = video.codec_context.name, video.width, video.height
    except (av.FFmpegError, IndexError):
        return None
    if codec not in ("mjpeg", "png"):
        return None
    stream = container.add_mux_stream(codec, rate=1, width=width, height=height)
    stream.disposition = av.stream.Disposition.attached_pic
    packet = av.Packet(cover)
    packet.stream, packet.pts, packet.dts, packet.time_base = stream, 0, 0, Fraction(1, 1)
    return packet
