"""Measures whether speech ends by itself or is cut at the maximum duration."""

from __future__ import annotations

from collections.abc import Sequence

from causerie.evaluate.clip import Clip, Measured
from causerie.evaluate.tools import Tools


def measure(clips: Sequence[Clip], tools: Tools) -> Measured:
    """Ends of clips. Sound files, which no model spoke, do not count.

    Numbers: stopped, the share of clips that ended by themselves; empty, the share without audio.
    """
    made = [clip.audio for clip in clips if clip.audio.stopped is not None]
    rows = [{"stopped": clip.audio.stopped} if clip.audio.stopped else {} for clip in clips]
    if not made:
        return Measured(numbers={}, rows=list(rows))
    numbers = {
        "stopped": sum(audio.stopped == "end" for audio in made) / len(made),
        "empty": sum(not len(audio.samples) for audio in made) / len(made),
    }
    return Measured(numbers=numbers, rows=list(rows))
