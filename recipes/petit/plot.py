"""Plots the training curves of `petit` for its model card, and prints the minutes of each phase.

    python recipes/petit/plot.py WORK OUT.png

Skips phases without a log in WORK.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from causerie.train.log import read_log

CURVES = (  # log, title, losses to plot
    ("encoder", "encoder and codebooks", {"spectrum_all": "log spectrum"}),
    (
        "codec",
        "the whole codec",
        {"mel": "multi-scale log mel", "phone_divergence": "phone divergence"},
    ),
    ("decoder", "decoder", {"envelope": "log envelope", "pitch": "pitch and voicing"}),
    (
        "joint",
        "encoder and decoder",
        {"phones": "phones", "mel": "log mel", "discriminator": "discriminator (2: chance)"},
    ),
    (
        "refined",
        "decoder again",
        {"envelope": "log envelope", "phone_divergence": "phone divergence", "mel": "log mel"},
    ),
    ("lm", "language model", {"codebook0": "codebook 0", "rest": "acoustic codebooks"}),
)


def main() -> None:
    work, out = Path(sys.argv[1]), sys.argv[2]
    curves = [curve for curve in CURVES if (work / f"{curve[0]}.log").exists()]
    size = (4 * len(curves), 3.4)
    figure, axes = pyplot.subplots(
        1, len(curves), figsize=size, constrained_layout=True, squeeze=False
    )
    for axis, (name, title, shown) in zip(axes[0], curves, strict=True):
        rows = read_log(work / f"{name}.log")
        for key, label in shown.items():
            points = [(row["minutes"], row[key]) for row in rows if key in row]
            if points:
                axis.plot(*zip(*points, strict=True), label=label)
        axis.set(title=title, xlabel="minutes", yscale="log")
        axis.grid(alpha=0.3, which="both")
        axis.legend()
        print(f"{name}: {rows[-1]['step']:.0f} steps, {rows[-1]['minutes']:.0f} minutes")
    axes[0][0].set_ylabel("loss")
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main()
