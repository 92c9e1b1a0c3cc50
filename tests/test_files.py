"""Every kind of file is written completely or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from causerie.audio.audio import Audio
from causerie.codes import load_codes, save_codes
from causerie.errors import AudioError, CheckpointError
from causerie.files import write_bytes
from causerie.prompt import Segment
from causerie.voices import Voice

AUDIO = Audio(samples=np.zeros(2_400, np.float32), sample_rate=24_000)
CODES = torch.ones(5, 3, dtype=torch.long)
VOICE = Voice(name="ada", segments=(Segment(speaker=0, text="Hello.", codes=CODES),))

WRITERS: dict[str, tuple[Callable[[Path], object], type[Exception]]] = {
    "a.wav": (AUDIO.save, AudioError),
    "a.flac": (AUDIO.save, AudioError),
    "codes.safetensors": (lambda path: save_codes(path, CODES), AudioError),
    "voice.safetensors": (VOICE.save, CheckpointError),
}


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes half of a file."""
    write = Path.write_bytes

    def write_half(self: Path, data: bytes) -> int:
        write(self, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", write_half)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_written_alone(tmp_path: Path, name: str) -> None:
    WRITERS[name][0](tmp_path / name)
    assert os.listdir(tmp_path) == [name]


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_no_file(tmp_path: Path, name: str) -> None:
    write, error = WRITERS[name]
    with pytest.raises(error, match="No space left"):
        write(tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_a_full_disk_keeps_the_older_file(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = tmp_path / "codes.safetensors"
    save_codes(path, CODES)
    request.getfixturevalue("full_disk")
    with pytest.raises(AudioError, match="No space left"):
        save_codes(path, CODES + 1)
    assert torch.equal(load_codes(path, 8), CODES)
    assert os.listdir(tmp_path) == ["codes.safetensors"]


def test_links_and_devices_stay(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "link").symlink_to("a")
    write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a").read_bytes() == b"new"
    write_bytes("/dev/null", b"gone")
    assert not Path("/dev/null").is_file()
