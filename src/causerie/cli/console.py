"""What a person at a terminal sees beside the results: progress and notes, all on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer


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


def note(message: str) -> None:
    """One line on stderr."""
    typer.echo(message, err=True)
