"""`causerie finetune`: makes a new voice from recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causerie.cli.console import note
from causerie.cli.options import Changes, Consent, ask_consent
from causerie.cli.progress import show_progress

if TYPE_CHECKING:
    from causerie.finetune.report import Report


def finetune(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Recordings of one person with transcripts, as for `causerie data prepare`, or "
            "its output folder.",
        ),
    ],
    base: Annotated[
        str,
        typer.Option(
            "--from", metavar="MODEL", help="Base model: petit, a folder or file, or a hub id."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Output folder, new or of the same run."),
    ],
    voice: Annotated[
        str,
        typer.Option(metavar="NAME", help="Name of the new voice; by default that of FOLDER."),
    ] = "",
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Training steps; by default 2 per sentence, 100 to 3,000."),
    ] = None,
    decoder_steps: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Training steps of the codec's decoder; by default 200 for small codecs, such as "
            "petit's, and 0 for others.",
        ),
    ] = None,
    changes: Changes = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    consent: Consent = None,
) -> None:
    """Make a model with a new voice from recordings.

    causerie finetune recordings/ann --from petit --out ann --consent "Ann Lee, by e-mail"

    Prepares the recordings, trains, evaluates checkpoints, and writes the best one. Run the command
    again to resume a killed run. The report is DIR/report.html.
    """
    line = ask_consent(folder, consent, _is_own)
    with show_progress() as on_progress:
        from causerie.finetune.run import FinetuneOptions, finetune

        report = finetune(
            FinetuneOptions(
                folder=folder, base=base, out=out, voice=voice, steps=steps,
                decoder_steps=decoder_steps, changes=tuple(changes or ()), device=device,
                consent=line,
            ),
            on_message=note,
            on_progress=on_progress,
        )  # fmt: skip
    _print_table(report)
    typer.echo(
        f"wrote {out / 'model'} · hear it: causerie say --model {out / 'model'} "
        f'--voice {report.voice} "Hello." · the report is {out / "report.html"}'
    )
    for warning in report.choice.warnings:
        note(f"warning: {warning}")


def _is_own(folder: Path) -> bool:
    """Whether all recordings are causerie's own speech; False for a prepared folder."""
    from causerie.data import manifest
    from causerie.data.shards import INDEX
    from causerie.own_mark import has_own_mark

    if (folder / INDEX).is_file():
        return False
    return all(has_own_mark(one.path) for one in manifest.find(folder).recordings)


def _print_table(report: Report) -> None:
    """Print the figures of base and checkpoints, and the choice."""
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
