"""A run killed five times at random moments ends with the same weights."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.train.kill_worker import LONG
from tests.train.lm.test_training import assert_same, training

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_five_kills_change_nothing(tmp_path: Path) -> None:
    whole = training(tmp_path / "whole", LONG)
    whole.run()
    done = subprocess.run(
        [sys.executable, "-m", "tests.train.kill_worker", str(tmp_path / "killed"), "3"],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *runs, step = done.stdout.split()
    assert runs == ["killed"] * 5
    assert 4 <= int(step) < 20  # the killed runs made progress
    state = torch.load(tmp_path / "killed" / "state.pt", weights_only=True)
    assert state["step"] == whole.step
    assert_same(whole.model.state_dict(), state["modules"]["model"])
    assert_same(whole.averages.state_dict(), state["extra"]["averages"])  # type: ignore[union-attr]
    assert not (tmp_path / "killed" / "state.partial").exists()
