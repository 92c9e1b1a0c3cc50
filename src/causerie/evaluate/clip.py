"""`Clip`, an utterance to measure, and `Measured`, the result of one metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from causerie.audio.audio import Audio

#: Results for one clip.
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """One utterance.

    Attributes:
        text: the text to speak.
        audio: the speech.
        voice: name of the voice.
        like: audio of the voice's prompt, or recordings of the same person; may be empty.
    """

    text: str
    audio: Audio
    voice: str = "0"
    like: tuple[Audio, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Figures of one metric.

    Attributes:
        numbers: figures over all clips.
        rows: one row per clip; empty if the metric does not apply to the clip.
    """

    numbers: dict[str, float]
    rows: list[Row] = field(default_factory=list)


def by_voice(name: str, clips: Sequence[Clip], values: Sequence[float | None]) -> dict[str, float]:
    """Means of a figure by voice, as NAME/VOICE; empty for one voice. Clips without it are None."""
    found: dict[str, list[float]] = {clip.voice: [] for clip in clips}
    for clip, value in zip(clips, values, strict=True):
        if value is not None:
            found[clip.voice].append(value)
    if len(found) < 2:
        return {}
    return {f"{name}/{voice}": sum(own) / len(own) for voice, own in sorted(found.items()) if own}
