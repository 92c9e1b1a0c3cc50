"""The command `causerie`: all commands, and how they fail.

An error is one line on stderr that says what to do, and exit code 2. Help, completion and errors
in arguments must be quick: typer is plain here, as its rich help and its conversion of values by
pydantic double the time of a start.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from causerie.cli import codec, data, info, say, train, voice, watermark
from causerie.cli.bench import bench
from causerie.cli.eval import evaluate
from causerie.cli.finetune import finetune
from causerie.cli.merge import merge
from causerie.cli.narrate import narrate
from causerie.cli.read import read
from causerie.cli.serve import serve
from causerie.cli.talk import talk
from causerie.cli.values import convert_without_pydantic
from causerie.cli.voices import voices
from causerie.errors import CauserieError

# The base of "no such option" and similar errors. Some versions of typer contain their own click.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class Commands(TyperGroup):
    """A group of commands that reports errors in one line."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _skip_conversion_in(command, ctx)
        return command

    def get_params(self, ctx: Any) -> Any:
        """The options before the name of a command."""
        params = super().get_params(ctx)
        _skip_conversion(params)
        return params

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command line and exit."""
        extra["standalone_mode"] = False  # click raises errors here instead of printing them
        try:
            result = super().main(*args, **extra)
            sys.stdout.flush()
        except CauserieError as error:
            _fail(str(error))
        except _UsageError as error:
            context = getattr(error, "ctx", None)
            command = context.command_path if context else "causerie"
            _fail(f"{error.format_message().rstrip('.')}; see `{command} --help`")  # type: ignore[attr-defined]
        except BrokenPipeError:  # `causerie … | head`: the reader is gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except typer.Abort:
            typer.echo("causerie: stopped", err=True)
            sys.exit(130)
        sys.exit(result if isinstance(result, int) else 0)


def _skip_conversion_in(command: Any, context: Any) -> None:
    """Apply `_skip_conversion` to a command and its subcommands."""
    _skip_conversion(command.get_params(context))
    convert_without_pydantic(command.params)
    for subcommand in getattr(command, "commands", {}).values():
        _skip_conversion_in(subcommand, context)


def _skip_conversion(params: list[Any]) -> None:
    """Give typer's own flags a default that it does not convert: that would import pydantic."""
    for param in params:
        if param.name in ("help", "install_completion", "show_completion"):
            param.default = False


def _fail(message: str) -> NoReturn:
    typer.echo(f"causerie: {' '.join(message.split())}", err=True)
    sys.exit(2)


app = typer.Typer(
    name="causerie",
    cls=Commands,
    help="Speech from text by the Conversational Speech Model, on this machine.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("say")(say.say)
app.command("talk")(talk)
app.command("narrate")(narrate)
app.command("read")(read)
app.command("voices")(voices)
app.add_typer(voice.app, name="voice")
app.add_typer(watermark.app, name="watermark")
app.add_typer(codec.app, name="codec")
app.add_typer(data.app, name="data")
app.add_typer(train.app, name="train")
app.command("finetune")(finetune)
app.command("merge")(merge)
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
    app(prog_name="causerie")
