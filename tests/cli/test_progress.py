"""Progress without a terminal: a line now and then, with an estimate of the time left."""

from __future__ import annotations

import pytest

from causerie.cli.progress import LINE_EVERY_S, ProgressLines, duration, show_progress


@pytest.fixture(autouse=True)
def no_progress_lines() -> None:
    """Here, they are what is tested."""


def test_lines_have_units_and_the_time_left() -> None:
    lines: list[str] = []
    now = [0.0]
    report = ProgressLines(lines.append, lambda: now[0])
    report("loading", 0, 1)
    for step in range(1, 101):  # 2 s each
        now[0] += 2
        report(f"training, loss {step / 10}", step, 100)
    assert len(lines) == 200 // LINE_EVERY_S
    assert lines[0] == "  training, loss 1.5: 15 of 100, about 3 min left"
    assert lines[-1] == "  training, loss 9.0: 90 of 100, about 20 s left"
    now[0] += LINE_EVERY_S
    report("speaking", 0, 50)  # other work, whose speed is not known yet
    now[0] += LINE_EVERY_S
    report("speaking", 10, 50)
    assert lines[-2:] == ["  speaking: 0 of 50", "  speaking: 10 of 50, about 2 min left"]
    now[0] += LINE_EVERY_S
    report("writing", 0, 1)
    assert lines[-1] == "  writing"


def test_a_resumed_run_estimates_by_its_own_steps() -> None:
    lines: list[str] = []
    now = [0.0]
    report = ProgressLines(lines.append, lambda: now[0])
    report("training", 901, 1000)
    now[0] = 40.0
    report("training", 911, 1000)
    assert lines == ["  training: 911 of 1,000, about 6 min left"]


def test_no_terminal_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress() as report:
        report("training", 1, 2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5000, "83 min"), (9000, "2.5 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
