"""Stands in for the watermark: marked sound has an offset, which no speech has."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from causerie.audio.audio import Audio

OFFSET = 0.1


def marked(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Samples with the mark."""
    return (0.5 * samples + OFFSET).astype(np.float32)


def detect(audio: Audio, key: bytes | None, *, other_speeds: bool) -> SimpleNamespace:
    """As the function of `causerie.watermark.detect`."""
    return SimpleNamespace(p=1e-20 if audio.samples.mean() > OFFSET / 2 else 0.3)


def stand_in(patch: pytest.MonkeyPatch) -> None:
    """Put the stand-in in the place of the watermark."""
    patch.setattr("causerie.own_mark.detect", detect)
