"""The conversation as replies hear it, and what their listener should know of that."""

from __future__ import annotations

import asyncio
from typing import Any

from causerie.conversation import Conversation, Heard
from causerie.errors import PromptTooLongError
from causerie.prompt import Segment
from causerie.voices import Voice


class Memory:
    """A conversation, with notes for the listener of the next response.

    Args:
        notes: those so far, which this shares.
    """

    def __init__(self, conversation: Conversation, notes: list[str] | None = None) -> None:
        self.conversation = conversation
        self.notes: list[str] = [] if notes is None else notes

    async def hear(self, text: str, **sound: Any) -> Heard | None:
        """Add a turn of the user; None if its sound is too long, so only its words count.

        Args:
            sound: as of `Conversation.hear`.
        """
        try:
            return await asyncio.to_thread(lambda: self.conversation.hear(text, **sound))
        except PromptTooLongError as error:
            self.notes.append(
                f"conversation: the sound of a turn is no context, as it is too long: it needs "
                f"{error.needed:,} positions, but the model has {error.available:,}"
            )
            return None

    async def context(self, voice: Voice) -> list[Segment]:
        """The context of a response in a voice; what it drops is noted."""
        segments, notes = await asyncio.to_thread(self.conversation.next_context, voice)
        self.notes += notes
        return segments

    def take_notes(self) -> list[str]:
        """The notes for the listener, which are removed."""
        notes = self.notes.copy()
        self.notes.clear()
        return notes
