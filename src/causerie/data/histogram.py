"""Histograms as SVG, drawn by hand: a page that carries them needs nothing else."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

NUM_BINS = 24
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 360, 150, 30, 12, 22


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Values of kept and of dropped turns.

    Attributes:
        unit: behind the numbers of the axis, "" for none.
        limits: drawn as lines where they fall into the picture.
    """

    title: str
    unit: str
    kept: Sequence[float]
    dropped: Sequence[float]
    limits: Sequence[float] = ()

    def svg(self) -> str:
        """The picture: bars of kept turns, those of dropped ones on top of them."""
        values = [*self.kept, *self.dropped]
        if not values:
            return ""
        low, high = _range(values)
        kept, dropped = _counts(self.kept, low, high), _counts(self.dropped, low, high)
        top = max(a + b for a, b in zip(kept, dropped, strict=True))
        step = (WIDTH - LEFT) / NUM_BINS
        scale = (HEIGHT - TOP - BOTTOM) / top
        base = HEIGHT - BOTTOM
        shapes = []
        for index, (num_kept, num_dropped) in enumerate(zip(kept, dropped, strict=True)):
            x, first = LEFT + index * step, low + index * (high - low) / NUM_BINS
            last = first + (high - low) / NUM_BINS
            y = base - num_kept * scale
            label = f"{_short(first)} to {_short(last)}{self.unit}: {num_kept} kept"
            label += f", {num_dropped} dropped" if num_dropped else ""
            bars = _bar("kept", x, y, step, num_kept * scale)
            bars += _bar("dropped", x, y - num_dropped * scale, step, num_dropped * scale)
            if bars:
                shapes.append(f"<g><title>{html.escape(label)}</title>{bars}</g>")
        for limit in self.limits:
            if low < limit < high:
                x = LEFT + (limit - low) / (high - low) * (WIDTH - LEFT)
                shapes.append(
                    f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{base}">'
                    f"<title>limit: {_short(limit)}{html.escape(self.unit)}</title></line>"
                )
        shapes.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH}" y1="{base}" y2="{base}"/>')
        for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
            x = LEFT + share * (WIDTH - LEFT)
            text = _short(low + share * (high - low))
            text += html.escape(self.unit) if share == 1 else ""
            shapes.append(
                f'<text x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{text}</text>'
            )
        shapes.append(f'<text x="{LEFT - 4}" y="{TOP + 8}" text-anchor="end">{top}</text>')
        name = f"{self.title}: {len(self.kept)} turns kept, {len(self.dropped)} dropped"
        return (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(name)}">'
            f"{''.join(shapes)}</svg>"
        )


def _bar(name: str, x: float, y: float, width: float, height: float) -> str:
    if not height:
        return ""
    return (
        f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{width - 1:.1f}" '
        f'height="{height:.1f}"/>'
    )


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if math.isclose(low, high, abs_tol=1e-9):
        return low, low + 1  # not below zero, where nothing is
    return low, high


def _counts(values: Sequence[float], low: float, high: float) -> list[int]:
    counts = [0] * NUM_BINS
    for value in values:
        counts[min(NUM_BINS - 1, int((value - low) / (high - low) * NUM_BINS))] += 1
    return counts


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
