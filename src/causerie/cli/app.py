"""All commands in one, and how they fail: one line on stderr that says what to do, exit code 2."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from causerie.cli import codec, data, info, say, train
from causerie.cli.bench import bench
from causerie.cli.eval import evaluate
from causerie.cli.finetune import finetune
from causerie.cli.serve import serve
from causerie.errors import CauserieError

# The base of "no such option" and the like. Some versions of typer bring their own click.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class Commands(TyperGroup):
    """A group of commands whose errors take one line."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command line and exit."""
        extra["standalone_mode"] = False  # errors come here rather than to click's own printer
        try:
            result = super().main(*args, **extra)
            sys.stdout.flush()
        except CauserieError as error:
            _fail(str(error))
        except _UsageError as error:
            context = getattr(error, "ctx", None)
            command = context.command_path if context else "causerie"
            _fail(f"{error.format_message().rstrip('.')}; see `{command} --help`")  # type: ignore[attr-defined]
        except BrokenPipeError:  # `causerie … | head`: nobody listens any more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except typer.Abort:
            typer.echo("causerie: stopped", err=True)
            sys.exit(130)
        sys.exit(result if isinstance(result, int) else 0)


def _fail(message: str) -> NoReturn:
    typer.echo(f"causerie: {' '.join(message.split())}", err=True)
    sys.exit(2)


app = typer.Typer(
    name="causerie",
    cls=Commands,
    help="Speech from text, by the Conversational Speech Model; nothing leaves this machine.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("say")(say.say)
app.add_typer(codec.app, name="codec")
app.add_typer(data.app, name="data")
app.add_typer(train.app, name="train")
app.command("finetune")(finetune)
app.command("info")(info.info)
app.command("eval")(evaluate)
app.command("bench")(bench)
app.command(
    "serve",
    add_help_option=False,  # its flags are made when it is called
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    },
)(serve)


def _show_version(wanted: bool) -> None:
    if wanted:
        from causerie import __version__

        typer.echo(f"causerie {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line of this process."""
    app()
