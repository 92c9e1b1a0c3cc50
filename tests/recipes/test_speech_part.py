"""Going on with a part of the speech that was left half written."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

Resume = Callable[[Path, Path], tuple[list[str], int]]
SIZES = {"one": 100, "two": 50, "thrée": 70}


@pytest.fixture
def resume(recipe: Path) -> Resume:
    found: Resume = importlib.import_module("speech_part").resume
    return found


@pytest.fixture
def part(tmp_path: Path) -> tuple[Path, Path]:
    """Samples and index of three utterances."""
    audio, index = tmp_path / "part0.i16", tmp_path / "part0.jsonl"
    audio.write_bytes(bytes(range(220)) * 2)
    start = 0
    with index.open("w", encoding="utf-8") as file:
        for text, size in SIZES.items():
            row = {"text": text, "start": start, "num_samples": size}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            start += size
    return audio, index


def test_a_new_part_is_empty(resume: Resume, tmp_path: Path) -> None:
    audio, index = tmp_path / "part0.i16", tmp_path / "part0.jsonl"
    assert resume(audio, index) == ([], 0)
    assert audio.read_bytes() == index.read_bytes() == b""


def test_complete_utterances_are_kept(resume: Resume, part: tuple[Path, Path]) -> None:
    before = [path.read_bytes() for path in part]
    assert resume(*part) == ([*SIZES], 220)
    assert [path.read_bytes() for path in part] == before


def test_samples_without_a_line_are_cut(resume: Resume, part: tuple[Path, Path]) -> None:
    audio, index = part
    whole = audio.read_bytes()
    audio.write_bytes(whole + b"\x01\x02\x03")
    assert resume(audio, index) == ([*SIZES], 220)
    assert audio.read_bytes() == whole


def test_an_incomplete_line_is_removed_with_its_samples(
    resume: Resume, part: tuple[Path, Path]
) -> None:
    audio, index = part
    lines = index.read_bytes().splitlines(keepends=True)
    index.write_bytes(b"".join(lines)[:-1])
    assert resume(audio, index) == (["one", "two"], 150)
    assert index.read_bytes() == b"".join(lines[:2])
    assert audio.stat().st_size == 300


def test_a_line_without_all_its_samples_is_removed(resume: Resume, part: tuple[Path, Path]) -> None:
    audio, index = part
    audio.write_bytes(audio.read_bytes()[:250])
    assert resume(audio, index) == (["one"], 100)
    assert audio.stat().st_size == 200


def test_an_index_without_audio_is_removed(resume: Resume, part: tuple[Path, Path]) -> None:
    audio, index = part
    audio.unlink()
    assert resume(audio, index) == ([], 0)
    assert index.read_bytes() == b""
