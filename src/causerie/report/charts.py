"""Charts as SVG for a report: histograms and lines, in the colours of its page."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

NUM_BINS = 24
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 360, 150, 30, 12, 22
#: Classes of colours; see `page`.
COLOURS = ("first", "second", "third")


def histogram(
    title: str,
    series: Mapping[str, Sequence[float]],
    *,
    unit: str = "",
    limits: Sequence[float] = (),
) -> str:
    """Stacked bars of up to three series; empty without values.

    Args:
        title: name for screen readers.
        series: values by the name of their series.
        unit: text after the numbers of the axis.
        limits: values to mark with a vertical line.
    """
    values = [value for some in series.values() for value in some]
    if not values:
        return ""
    low, high = _range(values)
    counts = [_counts(some, low, high) for some in series.values()]
    top = max(map(sum, zip(*counts, strict=True)))
    step = (WIDTH - LEFT) / NUM_BINS
    scale = (HEIGHT - TOP - BOTTOM) / top
    base = HEIGHT - BOTTOM
    shapes = []
    for index, column in enumerate(zip(*counts, strict=True)):
        if not any(column):
            continue
        x, first = LEFT + index * step, low + index * (high - low) / NUM_BINS
        last = first + (high - low) / NUM_BINS
        amounts = [f"{n} {name}" for n, name in zip(column, series, strict=True) if n]
        label = f"{_short(first)} to {_short(last)}{unit}: {', '.join(amounts)}"
        y, bars = float(base), ""
        for colour, count in zip(COLOURS, column, strict=False):
            y -= count * scale
            bars += (
                f'<rect class="{colour}" x="{x:.1f}" y="{y:.1f}" width="{step - 1:.1f}" '
                f'height="{count * scale:.1f}"/>' * bool(count)
            )
        shapes.append(f"<g><title>{html.escape(label)}</title>{bars}</g>")
    for limit in limits:
        if low < limit < high:
            x = LEFT + (limit - low) / (high - low) * (WIDTH - LEFT)
            shapes.append(
                f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{base}">'
                f"<title>limit: {_short(limit)}{html.escape(unit)}</title></line>"
            )
    shapes.append(f'<text x="{LEFT - 4}" y="{TOP + 8}" text-anchor="end">{top}</text>')
    totals = ", ".join(f"{len(some)} {name}" for name, some in series.items())
    return _svg(f"{title}: {totals}", [*shapes, _axis(low, high, unit)])


def lines(
    title: str,
    points: Mapping[int, float],
    *,
    levels: Mapping[str, float],
    chosen: int,
    form: str = "{:.2f}",
) -> str:
    """Values by step, beside constant levels.

    Args:
        title: name for screen readers.
        points: values by step.
        levels: values to draw as labelled horizontal lines.
        chosen: step to mark.
        form: format of values.
    """
    low, high = _range([*points.values(), *levels.values()])
    first, last = min(points), max(points, default=1)
    base, left, right = HEIGHT - BOTTOM, LEFT + 10, WIDTH - 6

    def x(step: int) -> float:
        return left + 8 + (step - first) / max(1, last - first) * (right - left - 8)

    def y(value: float) -> float:
        return base - 14 - (value - low) / (high - low) * (base - 14 - TOP)

    shapes = []
    for colour, (name, value) in zip(COLOURS[1:] * len(levels), levels.items(), strict=False):
        # values usually rise to the right: high labels stand at the left, low ones at the right
        place, anchor = (left, "start") if value > (low + high) / 2 else (right, "end")
        below = 10 if place == left and value < max(levels.values()) else -3
        shapes.append(
            f'<line class="{colour} level" x1="{left}" x2="{right}" y1="{y(value):.1f}" '
            f'y2="{y(value):.1f}"/><text x="{place}" y="{y(value) + below:.1f}" '
            f'text-anchor="{anchor}">{html.escape(name)} {form.format(value)}</text>'
        )
    path = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in sorted(points.items()))
    shapes.append(f'<polyline class="first" points="{path}" style="fill: none"/>')
    for step, value in sorted(points.items()):
        name = f"step {step}: {form.format(value)}" + ", chosen" * (step == chosen)
        shapes.append(
            f'<circle class="first" cx="{x(step):.1f}" cy="{y(value):.1f}" '
            f'r="{5 if step == chosen else 3}"><title>{name}</title></circle>'
        )
    for value in (low, high):
        shapes.append(
            f'<text x="{left - 4}" y="{y(value) + 3:.1f}" text-anchor="end">'
            f"{form.format(value)}</text>"
        )
    return _svg(title, [*shapes, _axis(first, last, "", start=x(first))])


def _svg(title: str, shapes: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">'
        f"{''.join(shapes)}</svg>"
    )


def _axis(low: float, high: float, unit: str, *, start: float = LEFT) -> str:
    """The horizontal axis with three numbers."""
    base = HEIGHT - BOTTOM
    shapes = [f'<line class="axis" x1="{LEFT}" x2="{WIDTH}" y1="{base}" y2="{base}"/>']
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        x = start + share * (WIDTH - start)
        text = _short(low + share * (high - low)) + html.escape(unit) * (share == 1)
        shapes.append(f'<text x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{text}</text>')
    return "".join(shapes)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if math.isclose(low, high, abs_tol=1e-9):
        return low, low + 1  # not below zero, which many quantities cannot be
    return low, high


def _counts(values: Sequence[float], low: float, high: float) -> list[int]:
    counts = [0] * NUM_BINS
    for value in values:
        counts[min(NUM_BINS - 1, int((value - low) / (high - low) * NUM_BINS))] += 1
    return counts


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
