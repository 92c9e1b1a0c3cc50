"""The text of a command: an argument, a file or standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from causerie.errors import TextError

Text = Annotated[
    str | None,
    typer.Argument(
        help="The text. Without it, or with -, standard input is read.",
        show_default=False,
    ),
]
TextFile = Annotated[
    Path | None,
    typer.Option("-f", "--file", help="Read the text from a file.", metavar="FILE"),
]


def read_text(text: str | None, file: Path | None, command: str) -> str:
    """The text, from the argument, the file or standard input.

    Args:
        command: the subcommand's name in errors.

    Raises:
        TextError: there is none, or more than one, or it is not text in UTF-8.
    """
    usage = f"give one text: causerie {command} TEXT, or -f FILE, or pipe it to standard input"
    is_piped = text is None and file is None and not sys.stdin.isatty()
    if (text is None) == (file is None) and not is_piped:
        raise TextError(usage)
    try:
        if file is not None:
            return file.read_text("utf-8")
        if text not in (None, "-"):
            return text
        words = sys.stdin.buffer.read().decode("utf-8")
    except OSError as error:
        raise TextError(f"text file {file} cannot be opened: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TextError(f"{file or 'standard input'} is not text in UTF-8: {error}") from error
    if is_piped and not words:
        raise TextError(usage)
    return words
