"""`causerie voices`, and the completion of --voice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from causerie.cli import app
from causerie.voices import Voice

PETIT = ["bruno", "clara", "heart", "mia", "nadia", "oscar", "ruth", "theo"]


def test_voices_of_the_bundled_model() -> None:
    done = CliRunner().invoke(app, ["voices"])
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == PETIT
    assert "heart            speaker 0    7.0 s  I saw your mother in law" in done.stdout


def test_voices_as_json(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    (folder / "voices").mkdir(exist_ok=True)
    Voice(name="ada", speaker=3).save(folder / "voices" / "ada.safetensors")
    done = CliRunner().invoke(app, ["voices", "--model", str(folder), "--json"])
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"name": "ada", "speaker": 3, "seconds": 0.0, "text": ""}
    ]


def test_voice_files(tmp_path: Path) -> None:
    path = tmp_path / "ann.safetensors"
    Voice(name="ann", speaker=3, licence="CC0-1.0").with_consent("Ann Lee, by e-mail").save(path)
    done = CliRunner().invoke(app, ["voices", str(path)])
    assert done.stdout.startswith(f"{path} speaker 3 ")
    assert "licence: CC0-1.0" in done.stdout
    assert "consent: Ann Lee, by e-mail" in done.stdout
    other = tmp_path / "model.safetensors"
    other.write_bytes(b"")
    done = CliRunner().invoke(app, ["voices", str(path), str(other)])
    assert done.exit_code == 2
    assert f"voice file {other} cannot be read" in done.stderr
    recording = tmp_path / "ann.wav"
    recording.write_bytes(b"")
    done = CliRunner().invoke(app, ["voices", str(recording)])
    assert done.exit_code == 2
    assert f"causerie voice make {recording}" in done.stderr
    done = CliRunner().invoke(app, ["say", "Hi.", "--model", str(path)])
    assert done.exit_code == 2
    assert f"{path} is a voice file, not a model" in done.stderr


def failed(*paths: Path) -> str:
    """The line with which `causerie voices` of these files fails."""
    done = CliRunner().invoke(app, ["voices", *map(str, paths)])
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    return done.stderr


def test_a_folder_of_voices(tmp_path: Path) -> None:
    assert f"folder {tmp_path} has no voice files (.safetensors)" in failed(tmp_path)
    (tmp_path / "notes.txt").write_text("Mine.")
    paths = [tmp_path / f"{name}.safetensors" for name in ("ann", "bea")]
    for path in reversed(paths):
        Voice(name=path.stem, speaker=3).save(path)
    done = CliRunner().invoke(app, ["voices", str(tmp_path)])
    assert [line.split(" speaker")[0] for line in done.stdout.splitlines()] == [*map(str, paths)]


def test_what_is_no_voice_is_one_clear_line(tiny_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "ann.safetensors"
    assert f"voice file {path} does not exist" in failed(path)
    path.touch()
    assert f"voice file {path} cannot be read, it is empty: causerie voice make" in failed(path)
    path.write_text("A note on my voice.")
    assert f"{path} cannot be read, it is damaged, or no voice file" in failed(path)
    assert f"voice file {path / 'x.safetensors'} does not exist" in failed(path / "x.safetensors")
    assert f"causerie voices --model {tiny_folder} lists" in failed(tiny_folder)
    weights = tiny_folder / "model.safetensors"
    assert f"{weights} is not a voice file of this version" in failed(weights)
    folder = tmp_path / "bea.safetensors"
    folder.mkdir()
    done = CliRunner().invoke(app, ["say", "Hi.", "--voice", str(folder)])
    assert f"{folder} is a folder, not a voice file: give a file in it" in done.stderr


def test_a_model_without_voices(tiny_folder: Path) -> None:
    done = CliRunner().invoke(app, ["voices", "--model", str(tiny_folder)])
    assert "has no named voices; use speaker numbers 0, 1, 2" in done.stdout
    done = CliRunner().invoke(app, ["voices", "--model", "./nowhere"])
    assert done.exit_code == 2
    assert "nowhere" in done.stderr


def test_a_damaged_voice_is_one_line(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    (folder / "voices").mkdir(exist_ok=True)
    for contents in (b"", b"nonsense" * 9, (9).to_bytes(8, "little") + b'{"a": 1} '):
        (folder / "voices" / "ada.safetensors").write_bytes(contents)
        done = CliRunner().invoke(app, ["voices", "--model", str(folder)])
        assert done.exit_code == 2
        assert "ada.safetensors" in done.stderr
        assert done.stderr.count("\n") == 1


def complete(*words: str) -> list[str]:
    """The shell's completion of a command line, in a process that must not import torch."""
    code = "import sys; from causerie.cli import main\n"
    code += "try: main()\nfinally: assert not {'torch', 'numpy'} & set(sys.modules)"
    words = ("causerie", *words)
    env = {
        **os.environ, "_CAUSERIE_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_shell_completes_commands_and_voices(tiny_folder: Path) -> None:
    assert complete("vo") == ["voices", "voice"]
    assert complete("say", "--voice", "") == PETIT
    assert complete("say", "--voice", "he") == ["heart"]
    assert complete("say", "--model", str(tiny_folder), "--voice", "") == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["voices"],
        ["say", "Hi", "--voice", "hart"],
        ["say", "Hi", "-o", "a.wma"],
        ["say", "Hi", "--seed", "x"],
        ["codec", "decode", "a.safetensors", "-o", "a.wma"],
        ["codec", "encode", "a.wav", "-o", "no/a.safetensors"],
    ],
)
def test_lists_and_wrong_arguments_do_not_import_torch(arguments: list[str]) -> None:
    code = f"import sys; sys.argv = ['causerie', *{arguments}]; from causerie.cli import main\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    code += "assert not {'torch', 'numpy', 'rich'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_completion_is_offered() -> None:
    help = CliRunner().invoke(app, ["--help"]).stdout
    assert "--install-completion" in help
    assert "--show-completion" in help
