"""Results as one picture: frames beside the floor, against context and streams, first sounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from causerie.bench.result import Machine, Result
from causerie.bench.table import label, where
from causerie.extras import need


def draw(results: Sequence[Result], machines: Sequence[Machine], path: Path) -> bool:
    """Write a picture of one subject; False where there is nothing to show.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    panels = [
        (title, panel, found)
        for measure, title, panel in _PANELS
        if (found := [r for r in results if r.measure == measure and r.codec_included])
    ]
    if not panels:
        return False
    figures = need("matplotlib.figure", "bench")  # without pyplot nothing global is left
    figure = figures.Figure(figsize=(6 * len(panels), 4.5), layout="constrained")
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


def _lines(of: Callable[[Result], int], name: str) -> Callable[[Any, Sequence[Result]], None]:
    def panel(axis: Any, results: Sequence[Result]) -> None:
        for one in dict.fromkeys(map(label, results)):
            mine = sorted((r for r in results if label(r) == one), key=of)
            axis.plot([of(r) for r in mine], [r.ms for r in mine], marker="o", label=one)
        axis.axhline(results[0].ms / (results[0].rtf or 1), color="#888888", linestyle=":")
        axis.set(xlabel=name, ylabel="ms a frame; dotted: real time", yscale="log")
        axis.legend(fontsize=7)

    return panel


_PANELS: tuple[tuple[str, str, Callable[[Any, Sequence[Result]], None]], ...] = (
    ("frame", "a frame of one stream, with sound", _bars),
    ("context", "against context", _lines(lambda r: r.rows, "rows before the frame")),
    ("streams", "against streams", _lines(lambda r: r.streams, "streams at once")),
    ("first-sound", "first sound", _bars),
)
