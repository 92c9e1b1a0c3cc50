"""The log of a training phase: JSON lines that a run appends and that plot.py reads.

A row holds the step, the seconds since this run of the script began, and the mean losses of 50
steps. A run that goes on with an earlier one begins with ``{"resumed_at": step}``.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

EVERY = 50


class Log:
    """Writes the means of 50 steps a row."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.resumes = path.exists() and path.stat().st_size > 0
        self.clock, self.start = clock, clock()
        self.seen: defaultdict[str, list[float]] = defaultdict(list)

    def __call__(self, step: int, numbers: dict[str, float]) -> None:
        if self.resumes:
            self._write({"resumed_at": step})
            self.resumes = False
        for name, value in numbers.items():
            self.seen[name].append(value)
        if (step + 1) % EVERY == 0:
            means = {name: round(sum(v) / len(v), 5) for name, v in self.seen.items()}
            seconds = round(self.clock() - self.start, 1)
            self._write({"step": step + 1, "seconds": seconds, **means})
            self.seen.clear()

    def _write(self, row: dict[str, float]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            print(json.dumps(row), file=file)


def read_log(path: Path) -> list[dict[str, float]]:
    """Rows of a log with their ``minutes`` since the first run began.

    The times of resumed runs add up. Steps that a killed run had done but not saved are done
    twice; their second rows are left out, but the time they took counts. In a log without
    ``resumed_at`` rows, a run is taken to be resumed where the seconds or the steps go back.
    """
    rows: list[dict[str, float]] = []
    before = seconds = 0.0  # time of the runs before this one, and of this one
    step = 0.0
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        if "resumed_at" in row or row["seconds"] < seconds or row["step"] <= step:
            before, seconds = before + seconds, 0.0
        if "resumed_at" in row:
            step = row["resumed_at"]
            continue
        seconds, step = row["seconds"], row["step"]
        if not rows or step > rows[-1]["step"]:
            rows.append({**row, "minutes": (before + seconds) / 60})
    return rows
