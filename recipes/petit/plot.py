"""Plot the training curves of `petit` for its model card, and print the minutes of each phase.

python recipes/petit/plot.py WORK OUT.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from causerie.train.log import read_log

CURVES = (  # log, title, the threads that the shipped model had, the losses to show
    ("encoder", "encoder and codebooks", "two threads", {"spectrum_all": "log spectrum"}),
    (
        "codec",
        "decoder, then the whole codec, then the decoder",
        "one thread",
        {"mel": "multi-scale log mel", "heard_phones": "phones heard otherwise"},
    ),
    (
        "lm",
        "language model",
        "one thread",
        {"codebook0": "codebook 0", "rest": "acoustic codebooks"},
    ),
)


def main() -> None:
    work, out = Path(sys.argv[1]), sys.argv[2]
    figure, axes = pyplot.subplots(1, len(CURVES), figsize=(12, 3.4), constrained_layout=True)
    for axis, (name, title, threads, shown) in zip(axes, CURVES, strict=True):
        rows = read_log(work / f"{name}.log")
        for key, label in shown.items():
            points = [(row["minutes"], row[key]) for row in rows if key in row]
            axis.plot(*zip(*points, strict=True), label=label)
        axis.set(title=title, xlabel=f"minutes, {threads}", yscale="log")
        axis.grid(alpha=0.3, which="both")
        axis.legend()
        print(f"{name}: {rows[-1]['step']:.0f} steps, {rows[-1]['minutes']:.0f} minutes")
    axes[0].set_ylabel("loss")
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main()
