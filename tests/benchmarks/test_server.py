from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "server.py"


def test_it_measures_each_number_of_clients() -> None:
    command = [sys.executable, str(PROGRAM), "--requests", "6", "--clients", "1,2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()[2:]]
    assert [(row[0], row[1]) for row in rows] == [("1", "6"), ("2", "6")]
    assert all(0 < float(row[2]) <= float(row[3]) for row in rows)
