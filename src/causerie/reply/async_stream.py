"""A reply for asyncio, whose text may still be written while it is spoken.

Each turn is a request to an `AsyncEngine`; the next one begins once all of this one's sound is
taken, so a slow listener holds up its own reply alone. Knows nothing of files or networks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from causerie.engine.aio import AsyncEngine, RequestStream
from causerie.engine.handle import Handle
from causerie.engine.request import Sampling
from causerie.reply.reply import Reply
from causerie.reply.turn import Turn
from causerie.reply.turns import Turns

#: As `reply.NextTurn`; it may wait until there is more text.
NextTurn = Callable[[list[Tensor]], Awaitable[Turn | None]]


class AsyncStream(Reply, AsyncIterator[NDArray[np.float32]]):
    """Speech as it is made, for one task: iterate over its pieces, (N,) fp32 each.

    Another task may close it; the iteration then ends, and `stopped` stays None.
    """

    def __init__(
        self,
        running: AsyncEngine,
        next_turn: NextTurn,
        turns: Turns,
        sampling: Sampling,
        started: float,
        *,
        deadline_s: float | None = None,
        continues: bool = False,
    ) -> None:
        super().__init__(running.engine, sampling, turns.notes, started)
        self._deadline_s, self._continues = deadline_s, continues
        self._making: tuple[AsyncEngine, NextTurn, Turns] | None = (running, next_turn, turns)
        self._counts = (0, 0)  # of text and context, once it is over
        self._speech: RequestStream | None = None  # of the turn that is being spoken
        self._cut: Handle | None = None  # of the turn that was broken off
        self._waiting: asyncio.Future[Turn | None] | None = None  # for the next turn
        self._started = started

    @property
    def num_text_tokens(self) -> int:
        """Of the text so far."""
        return self._counts[0] if self._making is None else self._making[2].num_text_tokens

    @property
    def num_context_frames(self) -> int:
        """Of the voice and the context."""
        return self._counts[1] if self._making is None else self._making[2].num_context_frames

    async def begin(self) -> None:
        """Ask for the first turn now, so that what hinders it is told before any sound.

        Raises:
            QueueFullError: too many replies wait.
        """
        await self._begin_turn()

    async def __anext__(self) -> NDArray[np.float32]:
        """The next piece, as soon as it is there.

        Raises:
            CauserieError: why there is no more.
        """
        try:
            piece = await self._next_piece()
        except BaseException:
            was_over = self._is_over
            await self.aclose()
            if not was_over:
                raise
            piece = None
        if piece is None:
            self._over()
            raise StopAsyncIteration
        if self.first_sound_ms is None:
            self.first_sound_ms = 1000 * (time.perf_counter() - self._started)
        return piece

    async def aclose(self) -> None:
        """Make no more of it; its slot is free for the engine's next step."""
        speech = self._speech
        self._over()
        if self._waiting is not None:
            self._waiting.cancel()
        if speech is not None:
            await speech.aclose()

    @property
    def _handle(self) -> Handle | None:
        return self._cut if self._speech is None else self._speech.handle

    def _over(self) -> None:
        """Let go of the model: who remembers what was said does not keep it in memory."""
        self._is_over = True
        if self._making is not None:
            self._counts = (self.num_text_tokens, self.num_context_frames)
            self._cut, self._making, self._speech = self._handle, None, None

    async def _next_piece(self) -> NDArray[np.float32] | None:
        """The next piece of this turn, or of the next one; None at the end of all."""
        while not self._is_over and (self._speech is not None or await self._begin_turn()):
            speech = self._speech
            assert speech is not None
            started = time.perf_counter()
            piece = await anext(speech, None)
            self._busy_s += time.perf_counter() - started
            if piece is not None:
                self._took(piece)
                return piece
            self._ended(speech.handle)
            self._speech = self._cut = None
        return None

    async def _begin_turn(self) -> bool:
        """Ask for the next turn, once it is written; False where all is said."""
        assert self._making is not None
        running, next_turn, _ = self._making
        self._waiting = asyncio.ensure_future(next_turn(self._codes))
        try:
            turn = await self._waiting
        finally:
            self._waiting = None
        if turn is None:
            self._concluded()
            return False
        self._speech = running.speak(self._request(turn, is_live=True), self._sizes)
        self._began(turn)
        return True
