"""A spoken conversation at a microphone and a loudspeaker.

What the user says is heard while it is spoken, answered by a mind, and spoken in the conversation's
voice. Speaking interrupts the answer. Knows no sound card and no terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from causerie.conversation import Conversation
from causerie.errors import CauserieError
from causerie.reply.async_stream import AsyncStream
from causerie.talk.ears import Ears, Partial, Started, Utterance
from causerie.talk.mind import INSTRUCTIONS, Message, Mind


class Devices(Protocol):
    """A microphone and a loudspeaker with one clock."""

    sample_rate: int

    def blocks(self) -> AsyncIterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """What was heard and what was played, (N,) each, block by block."""

    def play(self, pcm: NDArray[np.float32]) -> None:
        """Play samples (N,) after those before."""

    def stop(self) -> float:
        """Play no more; returns the seconds of the answer that were played."""

    async def played(self) -> float:
        """Wait until all is played; returns the seconds of the answer."""


class Listener(Protocol):
    """Receives the events of a session, to show or to record them."""

    def on_block(self, heard: NDArray[np.float32], played: NDArray[np.float32]) -> None:
        """Sound was heard and played."""

    def on_speech(self) -> None:
        """The user begins to speak."""

    def on_partial(self, text: str) -> None:
        """The user's words so far."""

    def on_user(self, text: str) -> None:
        """The user's words, at the end of a turn; "" if there were none."""

    def on_first_sound(self, seconds: float) -> None:
        """The answer begins, this many seconds after the user's last word."""

    def on_reply(self, text: str, *, is_interrupted: bool) -> None:
        """The words of an answer, as far as they were heard."""

    def on_error(self, message: str) -> None:
        """There is no answer."""


class TalkSession:
    """One conversation, until the microphone ends.

    Args:
        ears: hear the microphone; their `listen` is that of `conversation`.
        is_held: whether the microphone is heard, as while a button is held; None: always.
    """

    def __init__(
        self,
        conversation: Conversation,
        ears: Ears,
        mind: Mind,
        devices: Devices,
        listener: Listener,
        *,
        instructions: str = "",
        is_held: asyncio.Event | None = None,
    ) -> None:
        self._conversation, self._ears, self._mind = conversation, ears, mind
        self._devices, self._listener, self._is_held = devices, listener, is_held
        system = f"{INSTRUCTIONS}\n\n{instructions}".strip()
        self._messages: list[Message] = [{"role": "system", "content": system}]
        self._answering: asyncio.Task[None] | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._hearing: set[asyncio.Task[None]] = set()  # wait for the words of turns
        self._in_order = asyncio.Lock()  # of the turns that are heard
        self._is_speaking = False  # the user is
        self._is_unanswered = False  # whether the user said what an answer should follow
        self._since = 0.0  # when the user's last words ended, by `time.monotonic`
        self._stream: AsyncStream | None = None

    async def run(self) -> None:
        """Talk until the microphone ends; the last turn is still answered."""
        was_held = False
        async for heard, played in self._devices.blocks():
            self._listener.on_block(heard, played)
            is_held = self._is_held is None or self._is_held.is_set()
            found = []
            if is_held:
                found = await asyncio.to_thread(self._ears.add, heard)
            elif was_held:
                found = self._ears.finish()
            was_held = is_held
            await self._react(found)
        await self._react(self._ears.finish())
        await asyncio.gather(*self._hearing)  # the last of them may begin an answer
        for task in (self._preparing, self._answering):
            if task is not None:
                await task
        self._ears.close()

    async def _react(self, found: Sequence[Started | Partial | Utterance]) -> None:
        for what in found:
            if isinstance(what, Started):
                self._is_speaking = True
                self._listener.on_speech()
                await self._interrupt()
                self._prepare()
            elif isinstance(what, Partial):
                self._listener.on_partial(what.text)
            else:
                self._is_speaking = False
                since = time.monotonic() - (self._ears.now_ms - what.stopped_ms) / 1000
                self._hearing = {task for task in self._hearing if not _is_over(task)}
                self._hearing.add(asyncio.create_task(self._hear(what, since)))

    def _prepare(self) -> None:
        """Let the model read the conversation so far, unless it still does."""
        if self._preparing is None or _is_over(self._preparing):
            self._preparing = asyncio.create_task(self._conversation.prepare())

    async def _hear(self, turn: Utterance, since: float) -> None:
        """Remember a turn once its words are known, and answer it. No interruption ends this.

        Args:
            since: when its speech ended, by `time.monotonic`.
        """
        text = ""
        async with self._in_order:
            try:
                text = (await asyncio.wrap_future(turn.words)).strip()
                self._listener.on_user(text)
                hear = self._conversation.hear
                await asyncio.to_thread(lambda: hear(text, codes=turn.codes))
            except CauserieError as error:
                self._listener.on_error(str(error))
            if text:  # it counts, also if its sound is too long for the model
                self._messages.append({"role": "user", "content": text})
                self._is_unanswered, self._since = True, since
        self._hearing -= {asyncio.current_task()}
        # Else the end of a later turn comes here.
        if self._is_unanswered and not self._is_speaking and not self._hearing:
            self._is_unanswered = False
            self._answering = asyncio.create_task(self._answer())

    async def _answer(self) -> None:
        """Answer all that was said."""
        try:
            await self._speak()
        except CauserieError as error:
            self._listener.on_error(str(error))
        await self._devices.played()
        self._end_reply(None)

    async def _speak(self) -> None:
        """Speak the mind's answer."""
        self._stream = await self._conversation.astream(self._parts(), allow_silence=True)
        is_first = True
        async for pcm in self._stream:
            if is_first:
                is_first = False
                self._listener.on_first_sound(time.monotonic() - self._since)
            self._devices.play(pcm)

    async def _parts(self) -> AsyncIterator[str]:
        """The text of the answer as it is written."""
        async for part in self._mind(self._messages):
            if isinstance(part, str):
                yield part

    async def _interrupt(self) -> None:
        """End the answer in progress, of which the rest was not heard."""
        task, self._answering = self._answering, None
        if task is None or _is_over(task):
            return
        played_s = self._devices.stop()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        if self._stream is not None:
            await self._stream.aclose()
        if not self._end_reply(played_s):
            self._is_unanswered = True  # if the user says no more, it begins anew

    def _end_reply(self, played_s: float | None) -> str:
        """Remember an answer, as far as it was heard; None: to its end. Returns its words."""
        stream, self._stream = self._stream, None
        if stream is None:
            return ""
        text = " ".join(segment.text for segment in stream.said())
        if played_s is not None:
            text = self._conversation.interrupt(played_s)
        if text:
            self._messages.append({"role": "assistant", "content": text})
            self._listener.on_reply(text, is_interrupted=played_s is not None)
        return text


def _is_over(task: asyncio.Task[None]) -> bool:
    """Whether a task has ended; raises what went wrong."""
    if task.done():
        task.result()
    return task.done()
