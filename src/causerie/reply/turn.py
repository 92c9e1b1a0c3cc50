"""One turn of a reply: a text and the prompt that speaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from causerie.prompt import Prompt


@dataclass(frozen=True, kw_only=True, eq=False)
class Turn:
    """A text to be spoken in one go.

    Attributes:
        text: as it was written.
        speaker: who says it.
        prompt: made from the codes (K, T) of the turns before it.
        max_frames: its speech is cut there.
        limit_s: what to call that limit, where it is part of a longer one.
        notes: what there is to say about it.
    """

    text: str
    speaker: int
    prompt: Prompt
    max_frames: int
    limit_s: float
    notes: list[str]


#: Makes the next turn from the codes (K, T) of each turn spoken so far; None: all is said.
NextTurn = Callable[[list[Tensor]], Turn | None]
