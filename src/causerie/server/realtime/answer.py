"""The text that a language model writes, while it is spoken."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator

from causerie.talk.mind import Message


class Answer(AsyncIterator[str]):
    """The parts of an answer's text.

    Args:
        parts: what a `Mind` gives.

    Attributes:
        calls: of tools, so far.
        waited_s: for the language model, so far.
    """

    def __init__(self, parts: AsyncGenerator[str | Message, None]) -> None:
        self.calls: list[Message] = []
        self.waited_s = 0.0
        self._parts = parts
        self._read = ""  # but not given yet
        self._is_reading = False

    async def has_text(self) -> bool:
        """Wait for the first word; False if there is none.

        Raises:
            ChatError: the language model gave no answer.
        """
        while not self._read.strip():
            part = await self._next()
            if part is None:
                return False
            self._read += part
        return True

    async def __anext__(self) -> str:
        """The next part of the text."""
        part, self._read = self._read or await self._next(), ""
        if part is None:
            raise StopAsyncIteration
        return part

    async def _next(self) -> str | None:
        """The next part that is text; None at the end."""
        started, self._is_reading = time.monotonic(), True
        try:
            async for part in self._parts:
                if isinstance(part, str):
                    return part
                self.calls.append(part)
            return None
        finally:
            self.waited_s += time.monotonic() - started
            self._is_reading = False

    async def aclose(self) -> None:
        """End the request to the language model; a task that waits for it ends it itself."""
        if not self._is_reading:
            await self._parts.aclose()
