"""codec_frames.py: it runs, and says who took how long."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "codec_frames.py"


def test_a_line_for_each_implementation_and_number_of_streams() -> None:
    command = "--petit --threads 1 --streams 1,2 --frames 1 --warm-up 0 --turn 1".split()
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *command], capture_output=True, text=True, check=True
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["implementation"], line["streams"]) for line in lines] == [
        ("causerie float32", 1),
        ("causerie bfloat16", 1),
        ("causerie in torch", 1),
        ("causerie float32", 2),
        ("causerie bfloat16", 2),
    ]
    for line in lines:
        assert 0 < line["min"] <= line["ms_per_frame"] <= line["max"]
        assert line["subject"] == "petit"
