from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from causerie.recognition.whisper import packaged_recognizer

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "talk.py"


def test_it_measures_the_parts_of_each_turn(tmp_path: Path) -> None:
    if packaged_recognizer() is None:
        pytest.skip("Whisper base is not installed")
    file = tmp_path / "talk.json"
    command = [sys.executable, str(PROGRAM), "--turns", "2", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, 1), done.stderr  # 1: a busy machine is slower than wanted
    assert "| causerie |" in done.stdout
    turns = json.loads(file.read_text("utf-8"))
    assert len(turns) == 2
    for turn in turns:
        parts = turn["silence"] + turn["recognizer"] + turn["chat"] + turn["causerie"]
        assert parts == pytest.approx(turn["total"], abs=3)
        assert turn["client"] > turn["silence"]
