"""Draws how the figures of clips are spread: one histogram a figure, in one picture."""

from __future__ import annotations

from pathlib import Path

from causerie.evaluate.report import Report
from causerie.extras import need

#: Column of the clips' table → title and unit of its histogram.
SHOWN = {
    "errors": "words misheard",
    "similarity": "similarity to the prompt",
    "p808": "DNSMOS P.808",
    "duration_ratio": "duration over what the text suggests",
    "longest_pause_s": "longest pause, s",
    "first_sound_ms": "first sound, ms",
}
COLUMNS = 3


def draw(report: Report, path: Path) -> bool:
    """Write a picture; False where no clip has a figure to show.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    columns = {
        name: [row[name] for row in report.tables.get("clips", []) if row.get(name) is not None]
        for name in SHOWN
    }
    columns = {name: values for name, values in columns.items() if values}
    if not columns:
        return False
    figures = need("matplotlib.figure", "evaluate")  # without pyplot nothing global is left
    num_rows = -(-len(columns) // COLUMNS)
    figure = figures.Figure(figsize=(4 * COLUMNS, 2.8 * num_rows), layout="constrained")
    axes = figure.subplots(num_rows, COLUMNS, squeeze=False).ravel()
    for axis, (name, values) in zip(axes, columns.items(), strict=False):
        axis.hist(values, bins=20)
        axis.set(title=SHOWN[name], ylabel="clips")
        axis.grid(alpha=0.3)
    for axis in axes[len(columns) :]:
        axis.remove()
    figure.savefig(path, dpi=100, metadata={"Software": None})
    return True
