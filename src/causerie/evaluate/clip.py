"""`Clip`, one utterance to be judged, and `Measured`, what one metric found in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from causerie.audio.audio import Audio

#: What was found in one clip.
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """One utterance.

    Attributes:
        text: what was to be said.
        audio: what was said.
        voice: whose voice it was to be.
        like: sounds that the voice was given to copy, or recordings of the same person; empty
            where there are none.
    """

    text: str
    audio: Audio
    voice: str = "0"
    like: tuple[Audio, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Figures of one metric.

    Attributes:
        numbers: of all clips together.
        rows: one a clip, in their order; empty where the metric has nothing to say of a clip.
    """

    numbers: dict[str, float]
    rows: list[Row] = field(default_factory=list)


def by_voice(name: str, clips: Sequence[Clip], values: Sequence[float | None]) -> dict[str, float]:
    """Means of a figure, as NAME/VOICE, where there are several voices; clips may lack it."""
    found: dict[str, list[float]] = {clip.voice: [] for clip in clips}
    for clip, value in zip(clips, values, strict=True):
        if value is not None:
            found[clip.voice].append(value)
    if len(found) < 2:
        return {}
    return {f"{name}/{voice}": sum(own) / len(own) for voice, own in sorted(found.items()) if own}
