"""Draws results of `causerie bench --json`: frames, contexts, streams, first sounds.

python benchmarks/plot.py bench.jsonl bench.png
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from causerie.bench.result import Machine, Result, from_lines
from causerie.bench.table import label, where


def draw(results: Sequence[Result], machines: Sequence[Machine], path: Path) -> bool:
    """Write a picture of one subject; False if no result can be drawn."""
    panels = [
        (title, panel, found)
        for measure, title, panel in _PANELS
        if (found := [r for r in results if r.measure == measure and r.codec_included])
    ]
    if not panels:
        return False
    figure = Figure(figsize=(6 * len(panels), 4.5), layout="constrained")
    for axis, (title, panel, found) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        panel(axis, found)
        axis.set(title=title)
        axis.grid(alpha=0.3)
    figure.suptitle("\n".join([results[0].subject, *where(machines)]), fontsize=9)
    figure.savefig(path, dpi=100)
    return True


def _bars(axis: Any, results: Sequence[Result]) -> None:
    names = [label(r) if r.voice is None else f"{label(r)}, voice {r.voice}" for r in results]
    places = range(len(results))
    errors = [[r.ms - r.min for r in results], [r.max - r.ms for r in results]]
    axis.barh(places, [r.ms for r in results], xerr=errors, color="#4c78a8", ecolor="#333333")
    for place, result in zip(places, results, strict=True):
        if result.floor_ms is not None:
            axis.plot([result.floor_ms] * 2, [place - 0.4, place + 0.4], color="#e45756")
    axis.set(xlabel="ms; red: the floor", xscale="log")
    axis.set_yticks(list(places), names)
    axis.invert_yaxis()


def _lines(column: Callable[[Result], int], xlabel: str) -> Callable[[Any, Sequence[Result]], None]:
    def panel(axis: Any, results: Sequence[Result]) -> None:
        for name in dict.fromkeys(map(label, results)):
            line = sorted((r for r in results if label(r) == name), key=column)
            axis.plot([column(r) for r in line], [r.ms for r in line], marker="o", label=name)
        axis.axhline(results[0].ms / (results[0].rtf or 1), color="#888888", linestyle=":")
        axis.set(xlabel=xlabel, ylabel="ms per frame; dotted: real time", yscale="log")
        axis.legend(fontsize=7)

    return panel


_PANELS: tuple[tuple[str, str, Callable[[Any, Sequence[Result]], None]], ...] = (
    ("frame", "a frame of one stream, with audio", _bars),
    ("context", "by context", _lines(lambda r: r.rows, "rows before the frame")),
    ("streams", "by streams", _lines(lambda r: r.streams, "concurrent streams")),
    ("first-sound", "first sound", _bars),
)


if __name__ == "__main__":
    draw(*from_lines(Path(sys.argv[1]).read_text("utf-8").splitlines()), Path(sys.argv[2]))
