"""The sound that a client sends, in which turns are found."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from causerie.conversation import Conversation
from causerie.server.errors import ApiError
from causerie.server.realtime.events import Events
from causerie.server.realtime.floor import Floor
from causerie.server.realtime.hearing import Hearing
from causerie.server.realtime.latency import Latency
from causerie.server.realtime.messages import Append
from causerie.server.realtime.responses import Responses
from causerie.server.realtime.settings import SessionSettings
from causerie.server.realtime.turns import Turns
from causerie.server.service import SpeechService
from causerie.talk.ears import Ears, Partial, Started, Utterance


class InputBuffer:
    """Hears the user.

    Args:
        conversation: whose model encodes the sound.
    """

    def __init__(
        self,
        service: SpeechService,
        events: Events,
        settings: SessionSettings,
        floor: Floor,
        conversation: Conversation,
        turns: Turns,
        responses: Responses,
    ) -> None:
        self._service, self._events, self._settings = service, events, settings
        self._floor, self._conversation = floor, conversation
        self._turns, self._responses = turns, responses
        self._ears: Ears | None = None

    async def append(self, event: dict[str, Any]) -> None:
        """Hear sound."""
        arrived = time.monotonic()
        samples = self._settings.hearing.samples(Append.read(event).audio)
        if not len(samples):
            return
        if self._ears is None:
            self._ears = await asyncio.to_thread(self._new_ears)
        for heard in await asyncio.to_thread(self._ears.add, samples):
            if isinstance(heard, Started):
                await self._turns.start(heard.ms)
            elif isinstance(heard, Partial):
                await self._turns.send_partial(heard.text)
            else:
                await self._end_turn(self._ears, heard, arrived)

    async def commit(self, event: dict[str, Any]) -> None:
        """End the user's turn."""
        arrived = time.monotonic()
        ears = self._ears
        heard = [] if ears is None else await asyncio.to_thread(ears.finish)
        turns = [turn for turn in heard if isinstance(turn, Utterance)]
        if ears is None or not turns:
            raise ApiError(
                "the buffer holds no speech: append sound first",
                code="input_audio_buffer_commit_empty",
            )
        await self._end_turn(ears, turns[0], arrived)

    async def clear(self, event: dict[str, Any]) -> None:
        """Forget the sound of a turn that was not committed."""
        self._forget()
        await self._events.send("input_audio_buffer.cleared")
        await self._responses.answer()

    def change(self, hearing: Hearing) -> None:
        """Hear by other settings; begins anew if they hear something else."""
        if not hearing.hears_as(self._settings.hearing):
            self._forget()
        if self._ears is not None:
            self._ears.wants_partial = hearing.wants_partial

    async def _end_turn(self, ears: Ears, utterance: Utterance, arrived: float) -> None:
        """The user has spoken.

        Args:
            arrived: when the end of the sound did, by `time.monotonic`.
        """
        silence_s = (ears.now_ms - utterance.stopped_ms) / 1000
        await self._turns.end(utterance, Latency(silence_s, arrived))

    def _new_ears(self) -> Ears:
        """Ears by the settings; loads what they need."""
        hearing = self._settings.hearing
        smart_turn = self._service.smart_turn if hearing.is_semantic else None
        return hearing.ears(self._conversation, hearing.recognizer(self._service.tts), smart_turn)

    def _forget(self) -> None:
        """Begin to hear anew."""
        if self._ears is not None:
            self._ears.close()
        self._ears = self._floor.item = None
