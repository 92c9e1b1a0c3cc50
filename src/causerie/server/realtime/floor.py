"""Whose turn it is to speak."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from causerie.server.realtime.item import Item


@dataclass(eq=False)
class Floor:
    """What the user does, by which responses begin and end.

    Attributes:
        item: of the turn that the user speaks; None while the user is silent.
        understanding: tasks that wait for the words of turns.
        is_unanswered: whether there are turns that a response should answer.
        num_interruptions: how often the user began to speak, where that interrupts.
    """

    item: Item | None = None
    understanding: set[asyncio.Task[None]] = field(default_factory=set)
    is_unanswered: bool = False
    num_interruptions: int = 0

    @property
    def awaits_answer(self) -> bool:
        """Whether the user waits for a response: says nothing, and all words are known."""
        return self.is_unanswered and self.item is None and not self.understanding
