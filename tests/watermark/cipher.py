"""Weights of silentcipher's shapes, drawn at random: no package brings the published ones."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from causerie.watermark.silentcipher import FILES, Encoder, Marks, Reader


def write_weights(folder: Path) -> Path:
    """Write the three files, with the names that training in parallel gives; returns the folder."""
    rng = np.random.default_rng(0)
    for network, name in zip((Encoder(), Marks(), Reader()), FILES, strict=True):
        weights = {}
        for key, value in network.state_dict().items():
            scale = 0.5 / math.sqrt(max(1, math.prod(value.shape[1:])))
            drawn = scale * rng.standard_normal(tuple(value.shape))
            drawn += key.endswith(("bn.weight", "running_var"))
            weights["module." + key] = torch.from_numpy(np.asarray(drawn)).to(value.dtype)
        torch.save(weights, folder / name)
    return folder
