"""Results as tables: small ones, one a question, the same for a terminal and for a document."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from causerie.bench.result import Machine, Result

#: Names of formats that are short enough for a column.
SHORT = {"float32": "fp32", "bfloat16": "bf16"}


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells as text.

    Attributes:
        rows: as wide as the header.
    """

    title: str
    header: list[str]
    rows: list[list[str]]


def tables(results: Sequence[Result]) -> list[Table]:
    """All tables that there are results for, subject by subject."""
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
    """All tables for a document, and where they are from."""
    lines: list[str] = []
    for table in tables(results):
        lines += [f"**{table.title}**", "", _line(table.header)]
        lines += ["|---|" + "---:|" * (len(table.header) - 1)]
        lines += [*map(_line, table.rows), ""]
    lines += [f"Measured by `causerie bench` {place}." for place in where(machines)]
    return "\n".join(lines) + "\n"


def where(machines: Sequence[Machine]) -> list[str]:
    """A line about each machine and commit."""
    same: dict[Machine, list[float]] = {}
    for machine in machines:
        alike = dataclasses.replace(machine, bandwidth_gb_s=0)
        same.setdefault(alike, []).append(machine.bandwidth_gb_s)
    lines = []
    for machine, found in same.items():
        rates = " to ".join(dict.fromkeys(f"{rate:.0f}" for rate in (min(found), max(found))))
        commit = f", commit {machine.commit}" if machine.commit else ""
        lines.append(
            f"on {machine.date}: {machine.processor}, {machine.threads} threads, memory read at "
            f"{rates} GB/s{commit}"
        )
    return lines


def label(result: Result) -> str:
    """Who it is, and in which formats."""
    formats = [SHORT.get(f, f) for f in (result.backbone_format, result.depth_format) if f]
    return " ".join((result.implementation, "+".join(dict.fromkeys(formats)))).strip()


def _frames(results: Sequence[Result]) -> Table:
    rows = []
    for name, both in _by_label(results).items():
        codes, sound = (
            next((r for r in both if r.codec_included is codec), None) for codec in (False, True)
        )
        if codes and sound:
            over = f"{codes.ms / codes.floor_ms:.1f}" if codes.floor_ms else "–"
            memory = f"{codes.memory_gb:.1f}" if codes.memory_gb else "–"
            rows.append([name, _spread(codes), over, _spread(sound), _rtf(sound), memory])
    return Table(
        title=f"a frame of one stream, {_rows(results)}",
        header=["", "codes, ms", "times the floor", "with sound, ms", "RTF", "peak GB"],
        rows=rows,
    )


def _contexts(results: Sequence[Result]) -> Table:
    return _pivot(
        [r for r in results if r.codec_included],
        lambda r: r.rows, "ms of a frame with sound, by the rows before it",
    )  # fmt: skip


def _streams(results: Sequence[Result]) -> Table:
    return _pivot(
        [r for r in results if r.codec_included],
        lambda r: r.streams,
        f"ms of a frame of all streams with sound, by their number, {_rows(results)}",
    )  # fmt: skip


def _prefill(results: Sequence[Result]) -> Table:
    return Table(
        title=f"reading a prompt of {results[0].rows:,} rows",
        header=["", "ms"],
        rows=[[label(r), _spread(r)] for r in results],
    )


def _first_sound(results: Sequence[Result]) -> Table:
    voices = list(dict.fromkeys(r.voice for r in results))
    names = {"none": "no voice", "new": "a new voice", "kept": "a voice read before"}
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
        title="the codec, a frame a call",
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


def _rows(results: Sequence[Result]) -> str:
    return f"{results[0].rows:,} rows before it"


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
