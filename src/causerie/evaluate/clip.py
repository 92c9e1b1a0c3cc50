"""`Clip`, one utterance to be judged, and `Measured`, what one metric found in all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from causerie.audio.audio import Audio

#: Flat figures, and for each clip what was found in it.
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
