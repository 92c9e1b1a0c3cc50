"""Training curves of killed and resumed runs."""

from __future__ import annotations

import json
from pathlib import Path

from causerie.train import log


def write(path: Path, *rows: tuple[int, float] | int) -> Path:
    """A log of (step, seconds) and, as bare numbers, of `resumed_at` rows."""
    lines = [
        {"resumed_at": row} if isinstance(row, int) else {"step": row[0], "seconds": row[1]}
        for row in rows
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


def read(path: Path) -> list[tuple[float, float]]:
    return [(row["step"], round(row["minutes"] * 60, 3)) for row in log.read_log(path)]


def test_times_of_resumed_runs_add_up(tmp_path: Path) -> None:
    path = write(tmp_path / "log", (50, 10), (100, 20), 100, (150, 30), (200, 41))
    assert read(path) == [(50, 10), (100, 20), (150, 50), (200, 61)]


def test_repeated_steps_are_dropped_but_their_time_counts(tmp_path: Path) -> None:
    path = write(tmp_path / "log", (50, 10), (100, 20), 50, (100, 9), (150, 19), 150, (200, 8))
    assert read(path) == [(50, 10), (100, 20), (150, 39), (200, 47)]


def test_logs_without_resume_marks(tmp_path: Path) -> None:
    went_back = write(tmp_path / "seconds", (50, 10), (100, 20), (150, 9), (200, 18))
    assert read(went_back) == [(50, 10), (100, 20), (150, 29), (200, 38)]
    repeated = write(tmp_path / "steps", (50, 10), (100, 20), (50, 21), (100, 40), (150, 60))
    assert read(repeated) == [(50, 10), (100, 20), (150, 80)]


def test_written_logs_are_read(tmp_path: Path) -> None:
    path = tmp_path / "work" / "lm.log"
    for first, last in ((0, 120), (100, 200)):  # killed at 120, saved at 100
        now = iter(range(0, 100_000, 7))
        run = log.Log(path, clock=lambda now=now: next(now))
        for step in range(first, last):
            run(step, {"loss": float(step % 50)})
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [line.get("resumed_at") for line in lines] == [None, None, 100, None, None]
    assert read(path) == [(50, 7), (100, 14), (150, 21), (200, 28)]
    assert {row["loss"] for row in log.read_log(path)} == {24.5}


def test_losses_in_words() -> None:
    numbers = {"codebook0": 3.412, "rest": 4.2, "lr": 1e-3}
    assert log.losses_text(numbers) == "loss 3.41 (codebook 0), 4.20 (others)"


def test_an_empty_log_is_not_resumed(tmp_path: Path) -> None:
    path = tmp_path / "lm.log"
    path.touch()
    run = log.Log(path)
    for step in range(50):
        run(step, {"loss": 1.0})
    assert [*json.loads(path.read_text("utf-8"))] == ["step", "seconds", "loss"]


def test_flush_writes_the_last_steps(tmp_path: Path) -> None:
    path = tmp_path / "lm.log"
    run = log.Log(path, every=4)
    for step in range(6):
        run(step, {"loss": float(step)})
    run.flush(6)
    run.flush(6)
    assert [(row["step"], row["loss"]) for row in log.read_log(path)] == [(4, 1.5), (6, 4.5)]


def test_rows_of_one_step_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "lm.log"
    run = log.Log(path, every=1)
    run(0, {"loss": 3.0})
    run.note(1, {"wer": 0.25})
    (row,) = log.read_log(path)
    assert (row["loss"], row["wer"]) == (3.0, 0.25)
