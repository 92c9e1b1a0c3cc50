"""What a person at a terminal sees beside the results: progress and notes, all on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn


@contextmanager
def progress(message: str) -> Iterator[Callable[[str], None]]:
    """Show that something is going on, where stderr is a terminal; gives a way to say more."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda message: None
        return
    with console.status(message) as status:
        yield lambda message: status.update(message)


@contextmanager
def bar(*columns: str | ProgressColumn) -> Iterator[Progress]:
    """A bar of these columns, where stderr is a terminal; it is gone at the end."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        yield progress


def note(message: str) -> None:
    """One line on stderr."""
    typer.echo(message, err=True)
