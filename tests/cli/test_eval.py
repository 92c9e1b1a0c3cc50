"""`causerie eval`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from causerie.cli import app
from causerie.evaluate import run as evaluation
from causerie.evaluate.report import Report
from causerie.voices import Voice

LIGHT = "stopping,duration,silence"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["eval", *arguments, "--device", "cpu"])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the command asks for, in place of doing it."""
    seen: dict[str, object] = {}

    def evaluate(tts: object, sentences: list[str], **settings: object) -> Report:
        seen.update(settings, sentences=sentences)
        return Report(model="tiny", numbers={"wer": 0.25, "p808": 3.5})

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    return seen


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    folder.mkdir()
    for name in ("b.wav", "a.flac"):
        soundfile.write(folder / name, np.full(4_800, 0.1 if name == "a.flac" else 0.2), 24_000)
    (folder / "notes.txt").write_text("no sound")
    return folder


def test_figures_are_printed_and_written(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentences = tmp_path / "mine.txt"
    sentences.write_text("Good morning.\nIt is late.\n", "utf-8")
    monkeypatch.setattr("causerie.evaluate.speaking.MAX_DURATION_S", 0.4)
    options = ["--sentences", str(sentences), "--only", LIGHT, "--out", str(tmp_path / "out")]
    done = run(str(tiny_folder), *options)
    assert done.exit_code == 0, done.stderr
    assert "stopped by itself 0.0%\n" in done.stdout
    assert done.stderr == f"wrote {tmp_path / 'out' / 'report.html'}\n"
    facts = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert facts["settings"] == {"seed": 0, "clips": 2, "voices": ["0"]}
    assert len(list((tmp_path / "out" / "samples" / "clips").glob("*.flac"))) == 2


def test_options_reach_the_evaluation(
    tiny_folder: Path, asked: dict[str, object], sound: Path
) -> None:
    done = run(
        str(tiny_folder), "--voices", "0, 1", "--count", "7", "--seed", "3", "--only", "wer, codec",
        "--recordings", str(sound), "--like", str(sound / "b.wav"), "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["numbers"] == {"wer": 0.25, "p808": 3.5}
    voices: list[Voice] = asked["voices"]  # type: ignore[assignment]
    assert [(voice.name, voice.speaker) for voice in voices] == [("0", 0), ("1", 1)]
    assert asked["count"] == 7
    assert asked["seed"] == 3
    assert asked["only"] == ["wer", "codec"]
    recordings: list[evaluation.Audio] = asked["recordings"]  # type: ignore[assignment]
    assert [round(float(one.samples[0]), 1) for one in recordings] == [0.1, 0.2]  # by name
    like: dict[str, list[evaluation.Audio]] = asked["like"]  # type: ignore[assignment]
    assert {name: len(sounds) for name, sounds in like.items()} == {"0": 1, "1": 1}


def test_held_out_sentences_and_all_metrics_by_default(
    tiny_folder: Path, asked: dict[str, object]
) -> None:
    done = run(str(tiny_folder))
    assert done.stdout == "word error rate 25.0%\nDNSMOS P.808 3.50\n"
    assert len(asked["sentences"]) == 100  # type: ignore[arg-type]
    assert asked["only"] is None
    assert asked["count"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "bleu"], "no metric bleu: wer, similarity"),
        (["--only", "codec"], "codec needs recordings"),
        (["--sentences", "nowhere.txt"], "cannot read the sentences nowhere.txt"),
        (["--only", LIGHT, "--voices", "ada"], "no voice 'ada'"),
        (["--only", "wer,codec", "--recordings", "."], ". has no sound file"),
    ],
)
def test_mistakes_take_one_line(
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(str(tiny_folder), *options)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"causerie: {message}") or message in done.stderr
    assert done.stderr.count("\n") == 1
