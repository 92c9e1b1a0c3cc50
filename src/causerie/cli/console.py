"""Progress and notes on stderr, beside the results on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

#: Without a terminal, progress is at most one line in this time.
LINE_S = 10.0


@contextmanager
def progress(message: str) -> Iterator[Callable[[str], None]]:
    """Show that work goes on; yields a function that changes the message.

    A terminal shows the latest message. Elsewhere, long work prints a line every `LINE_S` seconds.
    """
    if not sys.stderr.isatty():
        yield _occasional_lines()
        return
    from rich.console import Console

    with Console(stderr=True).status(message) as status:
        yield lambda message: status.update(message)


def _occasional_lines() -> Callable[[str], None]:
    latest = time.monotonic()

    def show(message: str) -> None:
        nonlocal latest
        if time.monotonic() - latest >= LINE_S:
            latest = time.monotonic()
            note(message)

    return show


@contextmanager
def bar(*columns: str | ProgressColumn) -> Iterator[Progress]:
    """A bar of these columns if stderr is a terminal; it is removed at the end."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        yield progress


def note(message: str) -> None:
    """Print one line on stderr."""
    typer.echo(message, err=True)
