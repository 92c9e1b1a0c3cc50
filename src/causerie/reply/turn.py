"""One turn of a reply: a text and the prompt that speaks it."""

from __future__ import annotations

from dataclasses import dataclass

from causerie.engine.request import Length
from causerie.prompt import Prompt
from causerie.text.split import Piece


@dataclass(frozen=True, kw_only=True, eq=False)
class Turn:
    """A text that one request speaks.

    Attributes:
        text: the text as the user wrote it.
        speaker: the speaker number in the prompt.
        prompt: built from the codes (K, T) of earlier turns.
        max_frames: the speech is cut after this many frames.
        limit_s: the duration limit to report when the speech is cut.
        usual_s: the usual length of the speech.
        notes: messages for the listener.
        length: the same for a guard, which ends longer speech; None without a guard.
        pause: the silence before it; None if there is none.
        words: its words, to compare them with recognized speech; None if that is not done.
    """

    text: str
    speaker: int
    prompt: Prompt
    max_frames: int
    limit_s: float
    usual_s: float
    notes: list[str]
    length: Length | None = None
    pause: Piece | None = None
    words: tuple[str, ...] | None = None
