"""Writes docs/reference/cli.md from the command line's own definitions.

python docs/generate.py
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer
from typer.cli import get_docs_for_click

from causerie.cli import app
from causerie.cli.serve import settings_app

PAGE = Path(__file__).resolve().parent / "reference" / "cli.md"


def commands() -> str:
    """The page: every command with its arguments and options."""
    root = typer.main.get_command(app)
    serve = typer.main.get_command(settings_app())  # the command makes its options when it runs
    serve.name = "serve"
    root.commands["serve"] = serve  # type: ignore[attr-defined]
    keep_whole(root)
    context = typer.Context(root, help_option_names=["-h", "--help"])
    text = get_docs_for_click(obj=root, ctx=context, name="causerie", title="Commands")
    text = text.replace("```console", "```text")
    text = re.sub(r"^causerie .*$", r"```text\n$ \g<0>\n```", text, flags=re.MULTILINE)
    return text.strip() + "\n"


def keep_whole(command: Any) -> None:
    """Give each command its whole first line for lists of commands, which would cut it."""
    command.short_help = (command.help or "").partition("\n")[0]
    for inner in getattr(command, "commands", {}).values():
        keep_whole(inner)


if __name__ == "__main__":
    PAGE.write_text(commands(), encoding="utf-8")
