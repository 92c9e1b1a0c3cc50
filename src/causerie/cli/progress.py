"""Progress of long work on stderr: a bar on a terminal, otherwise a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from causerie.cli.console import bar, note

#: Called with the current work, the number of its units done, and their total.
OnProgress = Callable[[str, int, int], None]
LINE_EVERY_S = 30.0


@contextmanager
def show_progress() -> Iterator[OnProgress]:
    """Show the progress of whatever work the callback reports."""
    from rich.progress import Progress, TextColumn

    description = TextColumn("{task.description}", markup=False)  # file names can hold brackets
    with bar(description, *Progress.get_default_columns()[1:]) as shown:
        if not shown.console.is_terminal:
            yield ProgressLines()
            return
        task = shown.add_task("loading", total=None)

        def update(work: str, done: int, total: int) -> None:
            if shown.tasks[0].total != total or done < shown.tasks[0].completed:
                shown.reset(task, total=total)  # other work: restart the estimate of its time
            shown.update(task, completed=done, total=total, description=work)

        yield update


class ProgressLines:
    """Prints a line with the units done and the time left, at most every `LINE_EVERY_S`."""

    def __init__(
        self, write: Callable[[str], None] = note, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write, self._clock = write, clock
        self._printed = self._began = clock()
        self._first = self._done = self._total = 0

    def __call__(self, work: str, done: int, total: int) -> None:
        now = self._clock()
        if total != self._total or done < self._done:  # other work: restart the estimate
            self._began, self._first, self._total = now, done, total
        self._done = done
        if now - self._printed < LINE_EVERY_S:
            return
        self._printed = now
        units = f": {done:,} of {total:,}" if total > 1 else ""
        left = ""
        if done > self._first:
            seconds = (now - self._began) / (done - self._first) * (total - done)
            left = f", about {duration(seconds)} left"
        self._write(f"  {work}{units}{left}")


def duration(seconds: float) -> str:
    """A rounded duration, such as "40 s", "3 min" or "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
