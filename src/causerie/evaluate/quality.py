"""DNSMOS: how people would judge the sound, its parts (P.835) and as a whole (P.808).

Microsoft's networks, with their weights, come in the package speechmos. They hear noise and
distortion, not whether the right words are said, and like robots: read them beside the other
figures. One window of 9.01 s a clip is judged, the clip repeated to fill it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.evaluate.clip import Clip, Measured, by_voice
from causerie.extras import need

if TYPE_CHECKING:
    from causerie.evaluate.tools import Tools

SAMPLE_RATE = 16_000
#: 9.01 s: what the networks take at once. With more, speechmos would judge once a second.
WINDOW = 144_160
#: Our name → speechmos' name: overall, speech, background (P.835), and P.808.
NAMES = {"ovrl": "ovrl_mos", "sig": "sig_mos", "bak": "bak_mos", "p808": "p808_mos"}
#: What silence gets.
WORST = dict.fromkeys(NAMES, 1.0)

#: Mean opinions, 1 to 5, of a sound that is not silent.
Scorer: TypeAlias = Callable[[Audio], dict[str, float]]


class Opinion:
    """DNSMOS of one window.

    Args:
        run: in place of speechmos' function of samples (N,) and their rate.

    Raises:
        ConfigError: it is not installed.
    """

    def __init__(
        self, run: Callable[[NDArray[np.float32], int], dict[str, float]] | None = None
    ) -> None:
        self.run = run or need("speechmos.dnsmos", "evaluate").run

    def __call__(self, audio: Audio) -> dict[str, float]:
        """Opinions of a sound."""
        found = self.run(window(audio), SAMPLE_RATE)
        return {name: float(found[key]) for name, key in NAMES.items()}


def window(audio: Audio) -> NDArray[np.float32]:
    """The first 9.01 s of a sound, which is repeated to be as long, at 16 kHz; peaks within 1."""
    samples = audio.resampled(SAMPLE_RATE)
    samples = samples / max(1.0, float(np.abs(samples).max()))  # louder is an error to speechmos
    return np.resize(samples, WINDOW).astype(np.float32, copy=False)


def measure(clips: Sequence[Clip], tools: Tools) -> Measured:
    """Mean opinions of clips. Numbers: ovrl, sig, bak, p808; p808/VOICE where there are several."""
    rows = [tools.opinion(clip.audio) for clip in clips]
    numbers = {name: float(np.mean([row[name] for row in rows])) for name in NAMES}
    numbers |= by_voice("p808", clips, [row["p808"] for row in rows])
    return Measured(numbers=numbers, rows=list(rows))
