"""`causerie data`: prepare recordings for training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causerie.cli.console import bar, progress
from causerie.cli.options import Device, Model
from causerie.errors import ConfigError

if TYPE_CHECKING:
    from causerie.data.checks import Limits

app = typer.Typer(help="Prepare recordings for training.", no_args_is_help=False)


@app.callback()
def _group() -> None:
    """Make `prepare` a subcommand, although it is the only one."""


@app.command()
def prepare(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder of sound files, with .txt transcripts beside them or a manifest."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder to write. Default: FOLDER-prepared."),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="csv, tsv or jsonl file with the columns audio, text, speaker, conversation, "
            "start, end. Default: the one in FOLDER."
        ),
    ] = None,
    model: Model = "petit",
    device: Device = "auto",
    recognizer: Annotated[
        str,
        typer.Option(
            help="Whisper model that checks transcripts and writes missing ones: auto (base), "
            "a folder, a model name of faster-whisper, or none."
        ),
    ] = "auto",
    language: Annotated[
        str, typer.Option(help="Language of the speech, such as en; auto detects it.")
    ] = "en",
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="LIMIT=VALUE",
            help="Change a limit, such as max_cer=0.3; may be repeated.",
        ),
    ] = None,
) -> None:
    """Cut, check and encode recordings; report what was dropped and why.

    causerie data prepare recordings -o data
    """  # fmt: skip
    limits = read_limits(changes or [])
    output = output or folder.with_name(f"{folder.resolve().name}-prepared")
    from causerie.checkpoint import load_codec
    from causerie.data.manifest import find
    from causerie.data.prepare import REPORT
    from causerie.data.prepare import prepare as run
    from causerie.device import find_device
    from causerie.recognition.whisper import Whisper

    find(folder, output, manifest)  # finds mistakes before anything is loaded
    place = find_device(device)
    codec = load_codec(model, device=place).eval()
    whisper = None
    if recognizer != "none":
        kind = "cuda" if place.type == "cuda" else "cpu"
        whisper = Whisper(recognizer, language=language, device=kind)
    with _progress() as on_progress:
        report = run(
            folder,
            output,
            codec=codec,
            limits=limits,
            recognize=whisper,
            recognizer=whisper.name if whisper else "none",
            language=language,
            manifest=manifest,
            on_progress=on_progress,
        )
    for line in report.summary():
        typer.echo(line)
    typer.echo(f"wrote {output} · the report is {output / REPORT}")


def read_limits(changes: list[str]) -> Limits:
    """Default limits with changes, each as NAME=VALUE.

    Raises:
        ConfigError: the name is unknown, or the value is not a number.
    """
    from causerie.data.checks import Limits

    names = [field.name for field in dataclasses.fields(Limits)]
    values: dict[str, float] = {}
    for change in changes:
        name, _, value = change.partition("=")
        if name not in names:
            raise ConfigError(f"--set {change}: no limit {name!r}; use {', '.join(names)}")
        try:
            values[name] = float(value)
        except ValueError:
            raise ConfigError(f"--set {change}: {value!r} is not a number") from None
    return Limits(**values)


@contextmanager
def _progress() -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar if stderr is a terminal, else messages by `console.progress`."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("preparing"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),  # file names may contain brackets
    )
    with bar(*columns) as shown, progress("preparing") if shown.disable else nullcontext() as show:
        if show is not None:
            yield lambda done, total, name: show(f"{name} … {done} of {total}")
            return
        task = shown.add_task("", total=None)
        yield lambda done, total, name: shown.update(
            task, completed=done, total=total, description=name
        )
