"""`causerie bench`: how fast speech is made here, beside others and the limit of the memory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causerie.cli.console import note, progress
from causerie.cli.options import check_folder
from causerie.errors import ConfigError

if TYPE_CHECKING:
    from causerie.bench.result import Machine, Result


def bench(
    subject: Annotated[
        str,
        typer.Option(help="petit, or random weights: csm-1b, or tiny to try the command out."),
    ] = "petit",
    formats: Annotated[
        str | None,
        typer.Option(
            help="Of weights, with commas: fp32, bf16, int8, int4, or of backbone and depth "
            "decoder, such as bf16+int4. All of these but fp32 for csm-1b, fp32 for others."
        ),
    ] = None,
    kernels: Annotated[
        str | None,
        typer.Option(help="Of ours, with commas: native, batched, plain; the fastest of them."),
    ] = None,
    peers: Annotated[
        str, typer.Option(help="Implementations of others: transformers, moshi, sesame.")
    ] = "",
    measures: Annotated[
        str | None,
        typer.Option(help="frame, context, streams, prefill, first-sound, codec, memory; all."),
    ] = None,
    streams: Annotated[str, typer.Option(help="Numbers of streams at once.")] = "1,2,4,8",
    contexts: Annotated[str, typer.Option(help="Rows before a frame.")] = "100,500,1000,1900",
    prefill: Annotated[int, typer.Option(help="Rows of a prompt.")] = 1000,
    frames: Annotated[int, typer.Option(help="Of each in a round.")] = 8,
    rounds: Annotated[int, typer.Option(help="In which all take turns.")] = 5,
    sounds: Annotated[int, typer.Option(help="First sounds of each kind.")] = 20,
    threads: Annotated[int, typer.Option(help="Of the processor; 0: as torch has it.")] = 0,
    read: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Show what an earlier --json printed, and measure nothing."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a line, each as it is found.")
    ] = False,
    markdown: Annotated[bool, typer.Option(help="Print tables for a document.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="A picture to draw; needs matplotlib.", metavar="FILE")
    ] = None,
) -> None:
    """Measure frames, prompts, first sounds and memory.

    causerie bench --subject csm-1b --peers transformers,moshi --plot bench.png
    """
    from causerie.bench.plan import (
        Plan,
        default_formats,
        default_kernels,
        parse_formats,
        parse_kernels,
    )
    from causerie.bench.result import from_lines, to_line
    from causerie.bench.run import Bench
    from causerie.bench.table import to_markdown

    if plot is not None:
        check_folder(plot)
    if read:
        results, machines = from_lines(line for path in read for line in _lines_of(path))
    else:
        plan = Plan(
            subject=subject,
            formats=parse_formats(formats or default_formats(subject)),
            kernels=parse_kernels(kernels) if kernels else default_kernels(),
            peers=tuple(_listed(peers)),
            streams=_numbers(streams),
            contexts=_numbers(contexts),
            prefill_rows=prefill,
            frames=frames,
            rounds=rounds,
            sounds=sounds,
            threads=threads,
            **({} if measures is None else {"measures": tuple(_listed(measures))}),
        )

        def show(result: Result, machine: Machine) -> None:
            if as_json:
                print(to_line(result, machine), flush=True)

        with progress("starting") as tell:
            run = Bench(plan, tell, show)
            run.run()
        results, machines = run.results, [run.machine]
        for message in run.notes:
            note(message)
    if markdown:
        sys.stdout.write(to_markdown(results, machines))
    elif not as_json:
        _show(results, machines)
    elif read:
        for result in results:
            print(to_line(result, machines[0]))
    if plot is not None:
        from causerie.bench.plot import draw

        if draw(results, machines, plot):
            note(f"wrote {plot}")


def _show(results: list[Result], machines: list[Machine]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from causerie.bench.table import tables, where

    console = Console()
    for table in tables(results):
        console.print(table.title, style="bold", soft_wrap=True)
        shown = Table(box=box.SIMPLE_HEAD)
        for number, name in enumerate(table.header):
            shown.add_column(name, justify="right" if number else "left", overflow="fold")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
    for place in where(machines):
        console.print(f"Measured {place}.", soft_wrap=True)


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in _listed(text))
    except ValueError as error:
        raise ConfigError(f"{text!r} is no list of whole numbers such as 1,2,4") from error


def _lines_of(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"results {path} cannot be read: {error}") from error
