"""Writes training curves as JSON lines, and for TensorBoard if it is installed.

A row holds the step, the seconds since the process started, and means over some steps. A resumed
run appends, starting with ``{"resumed_at": step}``. Knows nothing of models.
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
    """Appends a row with the means of every `every` steps.

    Args:
        tensorboard: a folder for TensorBoard's files, which are written if it is installed.
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
        self.pending: defaultdict[str, list[float]] = defaultdict(list)
        self._board = _tensorboard(tensorboard)

    def __call__(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add the numbers of a step, counted from 0."""
        if self.resumes:
            self._write({"resumed_at": step})
            self.resumes = False
        for name, value in numbers.items():
            self.pending[name].append(value)
        if (step + 1) % self.every == 0:
            self.flush(step + 1)

    def flush(self, step: int) -> None:
        """Write the means since the last row; `step` is the number of steps done."""
        if self.pending:
            self.note(step, {name: sum(v) / len(v) for name, v in self.pending.items()})
            self.pending.clear()

    def note(self, step: int, numbers: Mapping[str, float]) -> None:
        """Write a single row, such as an evaluation; `step` is the number of steps done."""
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
    """A TensorBoard writer; None without a folder or the package."""
    if folder is None or importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))


def read_log(path: Path) -> list[dict[str, float]]:
    """The rows of a log, with ``minutes`` since the first run started.

    The times of resumed runs add up. A killed run repeats the steps after its last save: their
    second rows are dropped, but their time counts. Rows of one step are joined. A log without
    ``resumed_at`` rows counts as resumed wherever seconds or steps decrease.
    """
    rows: list[dict[str, float]] = []
    before = seconds = 0.0  # total time of the earlier runs, time of this run
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


def losses_text(numbers: Mapping[str, float]) -> str:
    """The losses of a step, such as "loss 3.41 (codebook 0), 4.20 (others)"."""
    names = {"codebook0": "codebook 0", "rest": "others", "mel": "mel"}
    losses = [f"{numbers[key]:.2f} ({name})" for key, name in names.items() if key in numbers]
    return f"loss {', '.join(losses)}"
