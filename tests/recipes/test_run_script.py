"""run.sh with an interpreter that only notes what it is asked: order, and failures."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

FAKE = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in *"$FAILING"*) exit 3 ;; esac
case "$1 $2" in # arguments: speech, work, out
"train.py encode") touch "$4/codes.npz" ;;
"train.py lm") mkdir -p "$4/lm" && touch "$4/lm.log" ;;
"train.py export") mkdir -p "$5" ;;
esac
"""


def run(recipe: Path, folder: Path, failing: str = "nothing", *more: str) -> tuple[int, list[str]]:
    """Exit status of run.sh, given `more` than where to work, and what it gave to python."""
    fake = folder / "bin" / "python"
    fake.parent.mkdir(exist_ok=True)
    fake.write_text(FAKE)
    fake.chmod(0o755)
    (folder / "work" / "speech").mkdir(parents=True, exist_ok=True)
    path = f"{fake.parent}{os.pathsep}{os.environ['PATH']}"
    calls = folder / "calls"
    environment = {**os.environ, "PATH": path, "CALLS": str(calls), "FAILING": failing}
    done = subprocess.run(
        ["bash", str(recipe / "run.sh"), "work", *more], cwd=folder, env=environment, check=False
    )
    return done.returncode, calls.read_text().splitlines()


def test_the_whole_recipe(recipe: Path, tmp_path: Path) -> None:
    status, calls = run(recipe, tmp_path)
    assert status == 0
    assert (tmp_path / "work/speech/done").exists()
    assert all(str(tmp_path / "work") in call for call in calls if call.startswith("train.py"))
    steps = [" ".join(call.split()[:2]) for call in calls]
    first = steps.index("train.py lm")
    assert steps[first + 1] == "train.py export"
    assert calls[first + 1].endswith("first --first-decoder")
    assert steps[first + 2].split()[0] == "decoder_targets.py"
    phases = [step.split()[1] for step in steps[first + 3 : first + 9]]
    assert phases == ["decoder", "joint", "refine", "encode", "lm", "export"]
    assert calls[first + 7].endswith(f"--base {tmp_path / 'work/first'}")
    after = [Path(call.split()[0]).name for call in calls[first + 9 :]]
    assert after == ["plot.py", "gates.py", "evaluate.py", "gates.py", "evaluate.py", "evaluate.py"]


def test_a_start_model_replaces_the_first_phase(recipe: Path, tmp_path: Path) -> None:
    status, calls = run(recipe, tmp_path, "nothing", "wordnet", "petit")
    assert status == 0
    phases = [call for call in calls if call.startswith("train.py")]
    assert not any(call.startswith("train.py encoder") for call in phases)
    started = [call.split()[1] for call in phases if call.endswith("--base petit")]
    assert started == ["codec", "lm"]


def test_the_first_language_model_is_trained_once(recipe: Path, tmp_path: Path) -> None:
    assert run(recipe, tmp_path, "train.py joint")[0] == 3
    (tmp_path / "calls").unlink()
    status, calls = run(recipe, tmp_path)
    assert status == 0
    steps = [" ".join(call.split()[:2]) for call in calls]
    assert steps.count("train.py lm") == steps.count("train.py encode") == 1


@pytest.mark.parametrize("part", ["dialogues.py", "voices.py"])
def test_failed_speech_ends_the_script(recipe: Path, tmp_path: Path, part: str) -> None:
    status, calls = run(recipe, tmp_path, part)
    assert status == 3
    assert not (tmp_path / "work/speech/done").exists()
    assert not any(call.startswith("train.py") for call in calls)


@pytest.mark.parametrize("phase", ["decoder", "lm"])
def test_a_failed_training_is_not_exported(recipe: Path, tmp_path: Path, phase: str) -> None:
    status, calls = run(recipe, tmp_path, f"train.py {phase}")
    assert status == 3
    exports = [call for call in calls if call.startswith("train.py export")]
    assert all(call.endswith("--first-decoder") for call in exports)
