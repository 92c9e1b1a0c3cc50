"""`causerie bench`: measure how fast causerie makes speech on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causerie.cli.console import note, progress
from causerie.errors import ConfigError

if TYPE_CHECKING:
    from causerie.bench.result import Machine, Result


def bench(
    subject: Annotated[
        str,
        typer.Option(help="The model: petit, csm-1b (random weights), or tiny (for a trial)."),
    ] = "petit",
    formats: Annotated[
        str | None,
        typer.Option(
            help="Weight formats, separated by commas: fp32, bf16, int8, int5, int4, or "
            "backbone+depth decoder, such as int5+int4. Default: fp32; for csm-1b all others."
        ),
    ] = None,
    kernels: Annotated[
        str | None,
        typer.Option(
            help="Runners: native, batched, plain, separated by commas. Default: the fastest."
        ),
    ] = None,
    peers: Annotated[
        str,
        typer.Option(
            help="Other implementations to compare with: transformers, moshi, sesame. Needs a "
            "checkout of the repository; also measures the memory bandwidth."
        ),
    ] = "",
    measures: Annotated[
        str | None,
        typer.Option(
            help="frame, context, streams, prefill, first-sound, codec, memory. Default: all."
        ),
    ] = None,
    streams: Annotated[str, typer.Option(help="Numbers of concurrent streams.")] = "1,2,4,8",
    contexts: Annotated[
        str, typer.Option(help="Numbers of rows before a frame.")
    ] = "100,500,1000,1900",
    prefill: Annotated[int, typer.Option(help="Rows of the prompt.")] = 1000,
    frames: Annotated[int, typer.Option(help="Frames per round.")] = 8,
    rounds: Annotated[int, typer.Option(help="Rounds; all implementations take turns.")] = 5,
    sounds: Annotated[int, typer.Option(help="Number of first sounds measured of each kind.")] = 20,
    threads: Annotated[int, typer.Option(help="Number of threads; 0 for torch's default.")] = 0,
    read: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Show results of an earlier --json; measure nothing."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each result as a line of JSON.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the tables in Markdown.")
    ] = False,
) -> None:
    """Measure the speed of frames, prompts and first sounds, and peak memory.

    causerie bench --subject csm-1b --measures frame,streams
    """
    from causerie.bench.plan import (
        Plan,
        default_formats,
        default_kernels,
        parse_formats,
        parse_kernels,
    )
    from causerie.bench.result import from_lines, to_line
    from causerie.bench.run import Bench, load_comparison
    from causerie.bench.table import to_markdown

    if read:
        results, machines = from_lines(line for path in read for line in _lines_of(path))
    else:
        plan = Plan(
            subject=subject,
            formats=parse_formats(formats or default_formats(subject)),
            kernels=parse_kernels(kernels) if kernels else default_kernels(),
            peers=tuple(_names(peers)),
            streams=_numbers(streams),
            contexts=_numbers(contexts),
            prefill_rows=prefill,
            frames=frames,
            rounds=rounds,
            sounds=sounds,
            threads=threads,
            **({} if measures is None else {"measures": tuple(_names(measures))}),
        )

        def on_result(result: Result, machine: Machine) -> None:
            if as_json:
                print(to_line(result, machine), flush=True)

        comparison = load_comparison() if plan.peers else None
        with progress("starting") as report:
            run = Bench(plan, report, on_result, comparison=comparison)
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


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in _names(text))
    except ValueError as error:
        raise ConfigError(f"{text!r} is not a list of whole numbers such as 1,2,4") from error


def _lines_of(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the results {path}: {error}") from error
