"""The other commands, help, and how the program ends."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner, Result

from causerie import __version__, native
from causerie.audio import io as files
from causerie.checkpoint import load_codec
from causerie.cli import app, say
from causerie.codes import load_codes
from causerie.extras import EXTRAS
from tests import tiny


def run(*arguments: str) -> Result:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.stderr
    return done


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    samples = np.random.default_rng(0).normal(0, 0.1, (22_050, 2))
    soundfile.write(path, samples, 44_100)  # half a second: 6.25 frames
    return path


def test_codec_encodes_and_decodes(tiny_folder: Path, tmp_path: Path, sound: Path) -> None:
    model = ["--model", str(tiny_folder), "--device", "cpu"]
    coded, again = tmp_path / "a.safetensors", tmp_path / "b.wav"
    done = run("codec", "encode", str(sound), "-o", str(coded), *model)
    assert done.stdout == f"wrote {coded} · 0.5 s of sound · 5 codebooks × 7 frames\n"
    codes = load_codes(coded, tiny.CODEBOOK_SIZE)
    assert codes.shape == (5, 7)

    done = run("codec", "decode", str(coded), "-o", str(again), *model)
    assert done.stdout == f"wrote {again} · 0.6 s of sound\n"
    with torch.inference_mode():
        wanted = load_codec(tiny_folder).decode(codes[None])[0, 0].numpy()
    assert np.array_equal(files.pcm16(files.read(again)[0]), files.pcm16(wanted))


def test_codec_of_fewer_codebooks(tiny_folder: Path, tmp_path: Path, sound: Path) -> None:
    model = ["--model", str(tiny_folder)]
    coded = tmp_path / "a.safetensors"
    run("codec", "encode", str(sound), "-o", str(coded), "--codebooks", "2", *model)
    assert load_codes(coded, tiny.CODEBOOK_SIZE).shape == (2, 7)
    run("codec", "decode", str(coded), "-o", str(tmp_path / "b.flac"), *model)
    done = CliRunner().invoke(
        app, ["codec", "encode", str(sound), "-o", str(coded), "--codebooks", "6", *model]
    )
    assert done.exit_code == 2
    assert done.stderr == "causerie: --codebooks must be 1 … 5, not 6\n"


def test_info_shows_the_installation_and_the_model(tiny_folder: Path) -> None:
    out = run("info", "--model", str(tiny_folder), "--device", "cpu").stdout
    for fact in (
        f"causerie         {__version__}",
        f"torch            {torch.__version__}",
        "device           cpu",
        f"native kernels   {native.describe()}",
        "  backbone       3 layers, width 64, 4 heads",
        "  context        128 positions, 10 s",
        "  tokens         260, front end plain",
        "  decoder        SEANet",
        "  codes          5 codebooks of 32",
        "  rate           24000 Hz, 12.5 frames a second",
        "voices           none by name",
    ):
        assert fact in out
    for extra, (_, purpose) in EXTRAS.items():
        assert re.search(rf"^extra {extra} .*(installed|pip install \S+).* {purpose}$", out, re.M)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["-h"], ["say", "--help"], ["codec", "encode", "--help"], ["info", "-h"], []],
)
def test_help(arguments: list[str]) -> None:
    out = run(*arguments).stdout
    assert "Usage:" in out


def test_version() -> None:
    assert run("--version").stdout == f"causerie {__version__}\n"


def test_program_fails_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "causerie", "say", "Hello", "--model", "./nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("causerie: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["say", "--seed", "x", "Hi."], "--seed': 'x' is not a whole number"),
        (["say", "--seed", "1.5", "Hi."], "--seed': '1.5' is not a whole number"),
        (["say", "--temperature", "hot", "Hi."], "--temperature': 'hot' is not a number"),
        (["finetune", "--steps", "0", "folder"], "--steps': Input should be greater than"),
    ],
)
def test_a_value_that_does_not_convert(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_interruption_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(say, "read_text", interrupted)
    done = CliRunner().invoke(app, ["say", "Hello"])
    assert done.exit_code == 130
    assert done.stderr.strip() in ("", "causerie: stopped")  # newer versions of typer say nothing
