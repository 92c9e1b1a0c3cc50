"""Long audio with chapters, a cover and tags."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from causerie.audio import io
from causerie.audio.book import BOOK_FORMATS, WITH_CHAPTERS, Mark, write_book
from causerie.errors import AudioError
from tests.narrate.books import PNG

RATE = 24_000
MARKS = [Mark("One: ä", 0.0, 1.5), Mark("Two", 1.5, 3.0)]


def blocks() -> list[np.ndarray]:
    time = np.arange(3 * RATE) / RATE
    tone = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    return [tone[:10_000], tone[10_000:50_000], tone[50_000:]]


@pytest.mark.parametrize("extension", BOOK_FORMATS)
def test_a_book_is_read_back(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    tags = {"title": "T", "artist": "Ann Lee", "album": ""}
    assert write_book(path, blocks(), RATE, marks=MARKS, tags=tags, cover=PNG) == path
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    with av.open(str(path)) as book:
        stream = book.streams.audio[0]
        seconds = sum(frame.samples for frame in book.decode(stream)) / stream.rate
        assert seconds == pytest.approx(3.0, abs=0.1)
        if extension in WITH_CHAPTERS:
            assert [chapter["metadata"]["title"] for chapter in book.chapters()] == [
                "One: ä",
                "Two",
            ]
            edges = [
                (c["start"] * c["time_base"], c["end"] * c["time_base"]) for c in book.chapters()
            ]
            assert [(float(a), float(b)) for a, b in edges] == [(0.0, 1.5), (1.5, 3.0)]
            assert book.metadata["title"] == "T"
            assert book.metadata["artist"] == "Ann Lee"
            assert len(book.streams.video) == 1
    with av.open(str(path)) as book:
        if book.streams.video:
            assert bytes(next(book.demux(book.streams.video[0]))) == PNG


def test_a_picture_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    path = write_book(tmp_path / "a.m4b", blocks(), RATE, cover=b"nonsense")
    with av.open(str(path)) as book:
        assert not book.streams.video


def test_plain_formats_are_exact(tmp_path: Path) -> None:
    path = write_book(tmp_path / "a.flac", blocks(), RATE)
    samples, rate = io.read(path)
    assert rate == RATE
    assert np.array_equal(io.pcm16(samples), io.pcm16(np.concatenate(blocks())))


@pytest.mark.parametrize("extension", ["m4b", "flac"])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, extension: str) -> None:
    with pytest.raises(AudioError, match=f"cannot write .*a.{extension}"):
        write_book(tmp_path / "none" / f"a.{extension}", blocks(), RATE)


def test_a_failure_leaves_no_file(tmp_path: Path) -> None:
    def failing():  # type: ignore[no-untyped-def]
        yield blocks()[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_book(tmp_path / "a.m4b", failing(), RATE)
    assert not list(tmp_path.iterdir())
