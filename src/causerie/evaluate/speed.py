"""Measures speed; the only figures that vary between runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causerie.evaluate.clip import Clip, Measured
from causerie.evaluate.tools import Tools


def measure(clips: Sequence[Clip], tools: Tools) -> Measured:
    """Speed of clips.

    Numbers: rtf, computing time over audio duration of all clips; first_sound_ms_p50 and
    first_sound_ms_p95, from the request to the first samples. Sound files have none.
    """
    rows = []
    for clip in clips:
        audio = clip.audio
        known = audio.rtf is not None and audio.first_sound_ms is not None
        rows.append({"rtf": audio.rtf, "first_sound_ms": audio.first_sound_ms} if known else {})
    made = [clip.audio for clip in clips if clip.audio.rtf is not None]
    if not made:
        return Measured(numbers={}, rows=list(rows))
    computing = sum((audio.rtf or 0.0) * audio.duration_s for audio in made)
    numbers = {"rtf": computing / sum(audio.duration_s for audio in made)}
    first = [audio.first_sound_ms for audio in made if audio.first_sound_ms is not None]
    middle, late = np.percentile(first, [50, 95]).tolist()
    numbers |= {"first_sound_ms_p50": middle, "first_sound_ms_p95": late}
    return Measured(numbers=numbers, rows=list(rows))
