"""Plot the training curves of `petit` for its model card.

python recipes/petit/plot.py WORK OUT.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

CURVES = (  # log, title, the losses to show
    ("quantizer", "encoder and codebooks", {"spectrum_all": "log spectrum", "phones": "phones"}),
    ("decoder", "decoder", {"mel": "multi-scale log mel"}),
    ("lm", "language model", {"codebook0": "codebook 0", "rest": "acoustic codebooks"}),
)


def read(path: Path) -> list[dict[str, float]]:
    """Rows of a log; where a run was killed and resumed, seconds go on from the last row."""
    rows: list[dict[str, float]] = []
    offset = previous = 0.0
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["seconds"] < previous:
            offset += previous
        previous = row["seconds"]
        rows.append({**row, "minutes": (row["seconds"] + offset) / 60})
    return rows


def main() -> None:
    work, out = Path(sys.argv[1]), sys.argv[2]
    figure, axes = pyplot.subplots(1, len(CURVES), figsize=(12, 3.4), constrained_layout=True)
    for axis, (name, title, shown) in zip(axes, CURVES, strict=True):
        rows = read(work / f"{name}.log")
        for key, label in shown.items():
            points = [(row["minutes"], row[key]) for row in rows if key in row]
            axis.plot(*zip(*points, strict=True), label=label)
        axis.set(title=title, xlabel="minutes on the CPU", yscale="log")
        axis.grid(alpha=0.3, which="both")
        axis.legend()
        print(f"{name}: {rows[-1]['step']:.0f} steps, {rows[-1]['minutes']:.0f} minutes")
    axes[0].set_ylabel("loss")
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main()
