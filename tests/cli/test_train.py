"""`causerie train`: its options, output and errors."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from causerie.checkpoint import load
from causerie.cli import app
from causerie.cli.train import _judge
from causerie.train.lm import run as training
from causerie.train.lm.config import LMConfig, LMRecipe, Watch
from tests.train.shards import write_shards

TEXT = """
base = "{base}"
data = "{data}"
out = "{out}"
device = "cpu"

[recipe]
steps = 2
lr = 1e-3
precision = "fp32"
samples.batch = 2
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["train", *arguments])


@pytest.fixture
def config(tiny_folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "voice.toml"
    data = write_shards(tmp_path / "shards")
    path.write_text(TEXT.format(base=tiny_folder, data=data, out=tmp_path / "out"))
    return path


def test_a_model_is_trained_and_written(config: Path, tmp_path: Path) -> None:
    done = run("lm", str(config), "--set", "recipe.steps=1", "--set", 'dtype="bfloat16"')
    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"wrote {tmp_path / 'out' / 'model'}\n"
    load(tmp_path / "out" / "model")
    again = run("lm", str(config), "--set", "recipe.steps=3")
    assert again.exit_code == 2
    assert "recipe.steps was 1, is 3" in again.stderr
    assert len(again.stderr.splitlines()) == 1
    allowed = run("lm", str(config), "--set", "recipe.steps=3", "--allow-changes")
    assert allowed.exit_code == 0
    assert allowed.stderr == "resuming at step 1 of 3\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lm", "none.toml"], "none.toml cannot be read"),
        (["lm", "CONFIG", "--set", "recipe.stepps=1"], "unknown key recipe.stepps: did you mean"),
        (["lm", "CONFIG", "--set", "data=nowhere"], "nowhere has no prepared speech"),
        (["lm", "CONFIG", "--set", 'watch.metrics=["wer", "words"]'], "no metric words"),
    ],
)
def test_mistakes_take_one_line(config: Path, arguments: list[str], message: str) -> None:
    done = run(*[str(config) if argument == "CONFIG" else argument for argument in arguments])
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_judge_speaks_the_configured_sentences(tiny_folder: Path, tmp_path: Path) -> None:
    recipe = LMRecipe(steps=1, lr=1.0)
    quiet = LMConfig(base="b", data="d", out="o", device="cpu", recipe=recipe)
    assert _judge(quiet) is None
    sentences = tmp_path / "sentences.txt"
    sentences.write_text("hi\n")
    watch = Watch(metrics=("stopping",), sentences=str(sentences), count=1)
    judge = _judge(dataclasses.replace(quiet, watch=watch))
    assert judge is not None
    folder = tmp_path / "checkpoint"
    checkpoint = load(tiny_folder)
    sizes = dataclasses.replace(checkpoint.model.config, max_frames=64)
    training.write_model(folder, checkpoint, checkpoint.model.state_dict(), sizes, "float32")
    figures = judge(folder)
    assert 0 <= figures["stopped"] <= 1
    assert (folder / "evaluation" / "report.json").is_file()


def test_a_missing_package_is_named(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    done = run("lm", str(config))
    assert done.exit_code == 2
    assert 'pip install "causerie[train]"' in done.stderr
