"""Results as small tables, one per measure, for a terminal or a document."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from causerie.bench.result import Machine, Result

#: Short names of weight formats.
SHORT = {"float32": "fp32", "bfloat16": "bf16"}


@dataclass(frozen=True, kw_only=True)
class Table:
    """A title, a header and rows of text cells, each as wide as the header."""

    title: str
    header: list[str]
    rows: list[list[str]]


def tables(results: Sequence[Result]) -> list[Table]:
    """One table for each subject and measure that has results."""
    out = []
    for subject in dict.fromkeys(result.subject for result in results):
        for measure, make in _TABLES.items():
            found = [r for r in results if (r.subject, r.measure) == (subject, measure)]
            if found:
                table = make(found)
                title = f"{subject}: {table.title}"
                out.append(Table(title=title, header=table.header, rows=table.rows))
    return out


def to_markdown(results: Sequence[Result], machines: Sequence[Machine]) -> str:
    """All tables in Markdown, with the machines they were measured on."""
    lines: list[str] = []
    for table in tables(results):
        lines += [f"**{table.title}**", "", _line(table.header)]
        lines += ["|---|" + "---:|" * (len(table.header) - 1)]
        lines += [*map(_line, table.rows), ""]
    lines += [f"Measured by `causerie bench` {place}." for place in where(machines)]
    return "\n".join(lines) + "\n"


def where(machines: Sequence[Machine]) -> list[str]:
    """One line for each machine and commit."""
    bandwidths: dict[Machine, list[float]] = {}
    for machine in machines:
        rates = bandwidths.setdefault(dataclasses.replace(machine, bandwidth_gb_s=None), [])
        rates += [] if machine.bandwidth_gb_s is None else [machine.bandwidth_gb_s]
    lines = []
    for machine, rates in bandwidths.items():
        line = f"on {machine.date}: {machine.processor}, {machine.threads} threads"
        if rates:
            bounds = dict.fromkeys(f"{rate:.0f}" for rate in (min(rates), max(rates)))
            line += f", memory bandwidth {' to '.join(bounds)} GB/s"
        lines.append(line + (f", commit {machine.commit}" if machine.commit else ""))
    return lines


def label(result: Result) -> str:
    """The name of an implementation with its weight formats."""
    formats = [SHORT.get(f, f) for f in (result.backbone_format, result.depth_format) if f]
    return " ".join((result.implementation, "+".join(dict.fromkeys(formats)))).strip()


def _frames(results: Sequence[Result]) -> Table:
    has_floor = any(result.floor_ms for result in results)
    rows = []
    for name, both in _by_label(results).items():
        codes, audio = (
            next((r for r in both if r.codec_included is codec), None) for codec in (False, True)
        )
        if codes and audio:
            factor = f"{codes.ms / codes.floor_ms:.1f}" if codes.floor_ms else "–"
            memory = f"{codes.memory_gb:.1f}" if codes.memory_gb else "–"
            factors = [factor] if has_floor else []
            rows.append([name, _spread(codes), *factors, _spread(audio), _rtf(audio), memory])
    floor = ["times the floor"] if has_floor else []
    return Table(
        title=f"a frame of one stream after {results[0].rows:,} rows",
        header=["", "codes, ms", *floor, "with audio, ms", "RTF", "peak GB"],
        rows=rows,
    )


def _contexts(results: Sequence[Result]) -> Table:
    return _pivot(
        [r for r in results if r.codec_included],
        lambda r: r.rows, "ms per frame with audio, by the number of rows before it",
    )  # fmt: skip


def _streams(results: Sequence[Result]) -> Table:
    return _pivot(
        [r for r in results if r.codec_included],
        lambda r: r.streams,
        "ms per frame of all streams with audio, by the number of streams, "
        f"after {results[0].rows:,} rows",
    )  # fmt: skip


def _prefill(results: Sequence[Result]) -> Table:
    return Table(
        title=f"prefill of {results[0].rows:,} rows",
        header=["", "ms"],
        rows=[[label(r), _spread(r)] for r in results],
    )


def _first_sound(results: Sequence[Result]) -> Table:
    voices = list(dict.fromkeys(r.voice for r in results))
    names = {"none": "no voice", "new": "a new voice", "kept": "a cached voice"}
    rows = [
        [name, *(_p50_p95(next((r for r in of if r.voice == voice), None)) for voice in voices)]
        for name, of in _by_label(results).items()
    ]
    return Table(
        title="first sound, ms: p50 and p95",
        header=["", *(names.get(voice or "", "") for voice in voices)],
        rows=rows,
    )


def _codec(results: Sequence[Result]) -> Table:
    return Table(
        title="the codec, one frame per call",
        header=["", "ms", "RTF"],
        rows=[[label(r), _spread(r), _rtf(r)] for r in results],
    )


#: By measure.
_TABLES: dict[str, Callable[[Sequence[Result]], Table]] = {
    "frame": _frames, "context": _contexts, "streams": _streams, "prefill": _prefill,
    "first-sound": _first_sound, "codec": _codec,
}  # fmt: skip


def _pivot(results: Sequence[Result], column: Callable[[Result], int], title: str) -> Table:
    columns = sorted({column(r) for r in results})
    rows = []
    for name, of in _by_label(results).items():
        found = {column(r): f"{_ms(r.ms)}" for r in of}
        rows.append([name, *(found.get(number, "–") for number in columns)])
    return Table(title=title, header=["", *(f"{number:,}" for number in columns)], rows=rows)


def _by_label(results: Sequence[Result]) -> dict[str, list[Result]]:
    out: dict[str, list[Result]] = {}
    for result in results:
        out.setdefault(label(result), []).append(result)
    return out


def _spread(result: Result) -> str:
    return f"{_ms(result.ms)} ({_ms(result.min)} … {_ms(result.max)})"


def _p50_p95(result: Result | None) -> str:
    return "–" if result is None else f"{_ms(result.ms)}, {_ms(result.p95)}"


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _rtf(result: Result) -> str:
    return "–" if result.rtf is None else f"{result.rtf:.2g}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
