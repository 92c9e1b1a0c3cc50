"""Sound quality by DNSMOS.

DNSMOS hears noise and distortion, not whether the words are right, and it likes robots: read its
scores beside the other metrics.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causerie.evaluate.clip import Clip, Measured, by_voice
from causerie.evaluate.dnsmos import NAMES
from causerie.evaluate.tools import Tools


def measure(clips: Sequence[Clip], tools: Tools) -> Measured:
    """Mean opinion scores of clips.

    Numbers: ovrl, sig, bak, p808; and p808/VOICE if there are several voices.
    """
    rows = [tools.opinion(clip.audio) for clip in clips]
    numbers = {name: float(np.mean([row[name] for row in rows])) for name in NAMES}
    numbers |= by_voice("p808", clips, [row["p808"] for row in rows])
    return Measured(numbers=numbers, rows=list(rows))
