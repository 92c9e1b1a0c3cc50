"""Curves of a training as JSON lines that a run appends, and TensorBoard's where it is installed.

A row holds the step, the seconds since this process began, and the mean numbers of some steps. A
run that goes on with an earlier one begins with ``{"resumed_at": step}``. Knows nothing of models.
"""

from __future__ import annotations

import importlib.util
import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

EVERY = 50


class Log:
    """Writes the means of `every` steps a row.

    Args:
        tensorboard: a folder for TensorBoard's files too; without the package there are none.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.time,
        *,
        every: int = EVERY,
        tensorboard: Path | None = None,
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.every = path, every
        self.resumes = path.exists() and path.stat().st_size > 0
        self.clock, self.start = clock, clock()
        self.seen: defaultdict[str, list[float]] = defaultdict(list)
        self._board = _tensorboard(tensorboard)

    def __call__(self, step: int, numbers: Mapping[str, float]) -> None:
        """Note the numbers of a step, counted from 0."""
        if self.resumes:
            self._write({"resumed_at": step})
            self.resumes = False
        for name, value in numbers.items():
            self.seen[name].append(value)
        if (step + 1) % self.every == 0:
            self.flush(step + 1)

    def flush(self, step: int) -> None:
        """Write the means of the steps since the last row, after so many steps in all."""
        if self.seen:
            self.note(step, {name: sum(v) / len(v) for name, v in self.seen.items()})
            self.seen.clear()

    def note(self, step: int, numbers: Mapping[str, float]) -> None:
        """Write a row of its own, such as an evaluation after so many steps."""
        seconds = round(self.clock() - self.start, 1)
        rounded = {name: float(f"{value:.6g}") for name, value in numbers.items()}
        self._write({"step": step, "seconds": seconds, **rounded})
        for name, value in numbers.items():
            if self._board is not None:
                self._board.add_scalar(name, value, step)

    def _write(self, row: dict[str, float]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            print(json.dumps(row), file=file)


def _tensorboard(folder: Path | None) -> Any:
    """A writer, or None without a folder or the package."""
    if folder is None or importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))


def read_log(path: Path) -> list[dict[str, float]]:
    """Rows of a log with their ``minutes`` since the first run began.

    The times of resumed runs add up. Steps that a killed run had done but not saved are done
    twice; their second rows are left out, but the time they took counts. Rows of one step are
    joined. In a log without ``resumed_at`` rows, a run is taken to be resumed where the seconds
    or the steps go back.
    """
    rows: list[dict[str, float]] = []
    before = seconds = 0.0  # time of the runs before this one, and of this one
    step = 0.0
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        if "resumed_at" in row or row["seconds"] < seconds or row["step"] < step:
            before, seconds = before + seconds, 0.0
        if "resumed_at" in row:
            step = row["resumed_at"]
            continue
        seconds, step = row["seconds"], row["step"]
        if rows and step == rows[-1]["step"]:
            rows[-1] = {**row, **rows[-1]}
        elif not rows or step > rows[-1]["step"]:
            rows.append({**row, "minutes": (before + seconds) / 60})
    return rows
