"""Whether a model ends its speech by itself, or has to be cut at the longest duration allowed."""

from __future__ import annotations

from collections.abc import Sequence

from causerie.evaluate.clip import Clip, Measured
from causerie.evaluate.tools import Tools


def measure(clips: Sequence[Clip], tools: Tools) -> Measured:
    """Numbers: stopped, the share of clips that ended by themselves, and empty, that without sound.

    Clips that no model made, such as sound files, count in neither.
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
