"""`causerie data prepare`: what a person sees."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from causerie.cli import app
from causerie.cli.data import read_limits
from causerie.data.shards import SpeechData
from causerie.errors import ConfigError
from tests import tiny
from tests.test_docs import ROOT


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["data", "prepare", *arguments])


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "talks"
    folder.mkdir()
    shutil.copy(ROOT / "docs" / "audio" / "hello.flac", folder / "hello.flac")
    (folder / "hello.txt").write_text("Hello, it is nice to meet you.\n")
    (folder / "broken.wav").write_bytes(b"no sound")
    return folder


def test_it_prepares_and_prints_a_summary(tiny_folder: Path, recordings: Path) -> None:
    done = run(str(recordings), "--model", str(tiny_folder), "--recognizer", "none")
    assert done.exit_code == 0, done.stderr
    out = recordings.with_name("talks-prepared")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("kept 1 of 2 turns · 1.")
    assert lines[0].endswith(" s · 1 speaker · 1 conversation")
    assert lines[1:] == [
        "dropped 1: 1 unreadable",
        "transcripts were not checked: no recognizer was used",
        f"wrote {out} · the report is {out / 'report.html'}",
    ]
    data = SpeechData.open(out)
    assert data.num_codebooks == tiny.NUM_CODEBOOKS
    (turn,) = data.turns
    assert (turn.text, turn.speaker) == ("Hello, it is nice to meet you.", "talks")
    assert data.codes_of(turn).shape == (turn.num_frames, tiny.NUM_CODEBOOKS)


def test_limits_can_be_set(tiny_folder: Path, recordings: Path, tmp_path: Path) -> None:
    options = ["--model", str(tiny_folder), "--recognizer", "none", "-o", str(tmp_path / "out")]
    done = run(str(recordings), *options, "--set", "min_s=5")
    assert done.exit_code == 2
    assert done.stderr.startswith("causerie: no turn of ")
    assert done.stderr.count("\n") == 1
    assert "1 unreadable, 1 too short" in done.stderr
    assert (tmp_path / "out" / "report.html").is_file()
    assert read_limits(["max_cer=0.3", "min_s=1"]).max_cer == 0.3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("min_snr=3", "no limit 'min_snr'; use min_s, max_s, "),
        ("max_cer", "'' is not a number"),
        ("max_cer=a few", "'a few' is not a number"),
        ("max_s=0.1", "min_s (0.5) must be below max_s (0.1)"),
    ],
)
def test_unknown_limits_are_refused(change: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_limits([change])
    assert message in str(caught.value)


def test_mistakes_take_one_line(tiny_folder: Path, recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "no model").mkdir()
    model = ["--model", str(tiny_folder), "--recognizer", "none"]
    for arguments, message in (
        ([str(tmp_path / "empty"), *model], "has no sound files"),
        ([str(tmp_path / "nowhere"), *model], "there is no folder"),
        ([str(recordings), "--model", str(tmp_path / "no model")], "no model"),
        ([str(tmp_path), "--set", "x=1"], "no limit 'x'"),
    ):
        done = run(*arguments)
        assert done.exit_code == 2
        assert done.stdout == ""
        assert done.stderr.startswith("causerie: ")
        assert done.stderr.count("\n") == 1
        assert message in done.stderr
    assert not (tmp_path / "empty-prepared").exists()


def test_without_the_extra_it_says_what_to_install(
    tiny_folder: Path, recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper.vad", None)
    done = run(str(recordings), "--model", str(tiny_folder), "--recognizer", "none")
    assert done.exit_code == 2
    assert 'pip install "causerie[data]"' in done.stderr


def test_progress_is_shown_on_a_terminal(
    tiny_folder: Path, recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (recordings / "bro[").mkdir()  # brackets are colours to some
    (recordings / "broken.wav").rename(recordings / "bro[" / "ken].wav")
    monkeypatch.setenv("FORCE_COLOR", "1")
    done = run(str(recordings), "--model", str(tiny_folder), "--recognizer", "none")
    assert done.exit_code == 0, done.stderr
    assert "preparing" in done.stderr
    assert "preparing" not in done.stdout


def test_progress_is_reported_without_a_terminal(
    tiny_folder: Path, recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []

    @contextmanager
    def progress(message: str) -> Iterator[Callable[[str], None]]:
        yield messages.append

    monkeypatch.setattr("causerie.cli.data.progress", progress)
    done = run(str(recordings), "--model", str(tiny_folder), "--recognizer", "none")
    assert done.exit_code == 0, done.stderr
    assert messages[0].endswith(f" … 0 of {len(messages) - 1}")
    assert messages[-1] == f"writing the shards … {len(messages) - 1} of {len(messages) - 1}"


def test_help() -> None:
    done = CliRunner().invoke(app, ["data", "--help"])
    assert done.exit_code == 0
    assert "prepare" in done.stdout
