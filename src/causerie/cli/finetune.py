"""`causerie finetune`: a new voice from recordings, in one command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causerie.cli.console import bar, note
from causerie.cli.options import Changes
from causerie.errors import ConfigError

if TYPE_CHECKING:
    from causerie.evaluate.run import Tell
    from causerie.finetune.report import Report


def finetune(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Recordings of one person with transcripts, as `causerie data prepare` takes "
            "them, or what it wrote.",
        ),
    ],
    base: Annotated[
        str,
        typer.Option("--from", metavar="MODEL", help="petit, a folder or file, or a hub id."),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="A new folder, or one that was begun.")
    ],
    voice: Annotated[
        str, typer.Option(metavar="NAME", help="Of the new voice; that of FOLDER by default.")
    ] = "",
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Of training; by default as many as there are sentences for."),
    ] = None,
    decoder_steps: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Of training the codec's decoder; by default 200 for small codecs, as petit's is, "
            "and none for others.",
        ),
    ] = None,
    changes: Changes = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    consent: Annotated[
        bool,
        typer.Option(
            "--i-have-consent", help="Whoever speaks in the recordings agrees to being imitated."
        ),
    ] = False,
) -> None:
    """Teach a model a voice: prepare, train, judge checkpoints, choose one, write it.

    causerie finetune recordings/ann --from petit --out ann --i-have-consent

    Killed at any time, the same command goes on. DIR/report.html is the report.
    """
    _ask_for_consent(folder, consent)
    with _telling() as tell:
        from causerie.finetune.run import Wishes, finetune

        report = finetune(
            Wishes(
                folder=folder, base=base, out=out, voice=voice, steps=steps,
                decoder_steps=decoder_steps,
                changes=tuple(changes or ()), device=device,
            ),
            say=note,
            tell=tell,
        )  # fmt: skip
    _show(report)
    typer.echo(
        f"wrote {out / 'model'} · hear it: causerie say --model {out / 'model'} "
        f'--voice {report.voice} "Hello." · the report is {out / "report.html"}'
    )
    for warning in report.choice.warnings:
        note(f"warning: {warning}")


def _ask_for_consent(folder: Path, given: bool) -> None:
    """Raise ConfigError without the consent of whoever is imitated."""
    if given:
        return
    question = f"Does whoever speaks in {folder} consent to being imitated?"
    if not (_someone_is_there() and typer.confirm(question, default=False, err=True)):
        raise ConfigError(
            "a voice belongs to a person: where whoever speaks in the recordings consents to being "
            "imitated, say so by --i-have-consent"
        )


def _someone_is_there() -> bool:
    return sys.stdin.isatty()


def _show(report: Report) -> None:
    """The table, and what was chosen."""
    from rich.console import Console
    from rich.table import Table

    from causerie.finetune.report import COLUMNS

    table = Table(box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    for heading, _ in COLUMNS.values():
        table.add_column(heading, justify="right")
    for name, cells, chosen in report.rows():
        table.add_row(f"{name} ←" if chosen else name, *cells)
    Console(markup=False, highlight=False).print(table)
    for line in report.lines():
        typer.echo(line)


@contextmanager
def _telling() -> Iterator[Tell]:
    """What is done and how far it is, where stderr is a terminal."""
    from rich.progress import Progress, TextColumn

    shown = TextColumn("{task.description}", markup=False)  # names of files may hold brackets
    with bar(shown, *Progress.get_default_columns()[1:]) as shows:
        task = shows.add_task("loading", total=None)

        def tell(what: str, done: int, total: int) -> None:
            if shows.tasks[0].total != total or done < shows.tasks[0].completed:
                shows.reset(task, total=total)  # another thing: its time is counted anew
            shows.update(task, completed=done, total=total, description=what)

        yield tell
