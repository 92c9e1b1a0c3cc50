"""DNSMOS: estimates how people would rate the sound, its parts (P.835) and as a whole (P.808).

Microsoft's networks come with their weights in the package speechmos. They rate one window of
9.01 s; shorter audio is repeated to fill it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.extras import need

SAMPLE_RATE = 16_000
#: 9.01 s, the input of the networks. speechmos would rate longer audio once per second.
WINDOW = 144_160
#: Our name → speechmos' name: overall, speech, background (P.835), and P.808.
NAMES = {"ovrl": "ovrl_mos", "sig": "sig_mos", "bak": "bak_mos", "p808": "p808_mos"}
#: The scores of silence.
WORST = dict.fromkeys(NAMES, 1.0)

#: Returns mean opinion scores, 1 to 5, of audio that is not silent.
Scorer: TypeAlias = Callable[[Audio], dict[str, float]]


class Dnsmos:
    """Scores of one window.

    Args:
        run: replaces speechmos' function of samples (N,) and their rate.

    Raises:
        ConfigError: speechmos is not installed.
    """

    def __init__(
        self, run: Callable[[NDArray[np.float32], int], dict[str, float]] | None = None
    ) -> None:
        self.run = run or need("speechmos.dnsmos", "evaluate").run

    def __call__(self, audio: Audio) -> dict[str, float]:
        """Mean opinion scores."""
        scores = self.run(window(audio), SAMPLE_RATE)
        return {name: float(scores[key]) for name, key in NAMES.items()}


def window(audio: Audio) -> NDArray[np.float32]:
    """The first 9.01 s at 16 kHz, repeated if the audio is shorter, with peaks within 1."""
    samples = audio.resampled(SAMPLE_RATE)
    samples = samples / max(1.0, float(np.abs(samples).max()))  # speechmos refuses louder samples
    return np.resize(samples, WINDOW).astype(np.float32, copy=False)
