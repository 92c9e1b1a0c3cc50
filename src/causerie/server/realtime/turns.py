"""The user's turns: each is an item, whose words come later."""

from __future__ import annotations

import asyncio
from typing import Any

from causerie.server.realtime.events import Events
from causerie.server.realtime.floor import Floor
from causerie.server.realtime.ids import new_id
from causerie.server.realtime.item import Item
from causerie.server.realtime.items import Items
from causerie.server.realtime.latency import Latency
from causerie.server.realtime.responses import Responses
from causerie.server.realtime.settings import SessionSettings
from causerie.server.sockets import Socket
from causerie.talk.ears import Utterance
from causerie.text.surrogates import well_formed


class Turns:
    """Reports turns, and has them answered."""

    def __init__(
        self,
        socket: Socket,
        events: Events,
        settings: SessionSettings,
        floor: Floor,
        items: Items,
        responses: Responses,
    ) -> None:
        self._socket, self._events, self._settings = socket, events, settings
        self._floor, self._items, self._responses = floor, items, responses

    async def start(self, ms: int) -> None:
        """The user begins to speak, which interrupts the response.

        Args:
            ms: place in the sound.
        """
        item = self._floor.item = Item(new_id("item"), "user", "", "in_progress", is_heard=True)
        detection = self._settings.hearing.detection
        if detection is not None:
            self._floor.num_interruptions += detection.interrupt_response
            await self._events.send(
                "input_audio_buffer.speech_started", audio_start_ms=ms, item_id=item.name
            )
            if detection.interrupt_response:
                await self._responses.interrupt()
        self._socket.start(self._responses.prepare())

    async def send_partial(self, text: str) -> None:
        """Send the words that are certain while they are spoken."""
        item = self._floor.item
        assert item is not None
        delta = item.transcript.partial(well_formed(text))
        if delta:
            await self._send_words(item, "delta", delta=delta)

    async def end(self, utterance: Utterance, latency: Latency) -> None:
        """The user has spoken."""
        item = self._floor.item
        assert item is not None
        item.latency = latency
        if self._settings.hearing.detection is not None:
            await self._events.send(
                "input_audio_buffer.speech_stopped",
                audio_end_ms=utterance.stopped_ms,
                item_id=item.name,
            )
        await self._events.send(
            "input_audio_buffer.committed",
            item_id=item.name,
            previous_item_id=self._items.last_id,
        )
        await self._items.add(item)
        task = self._socket.start(self._understand(item, utterance, latency))
        self._floor.understanding.add(task)
        task.add_done_callback(self._floor.understanding.discard)
        self._floor.item = None  # only now: no answer to earlier turns begins in between

    async def _understand(self, item: Item, utterance: Utterance, latency: Latency) -> None:
        """Wait for the words of a turn, and answer them."""
        latency.lap("causerie")
        try:
            words = well_formed(await asyncio.wrap_future(utterance.words))
            latency.lap("recognizer")
            text = " ".join(words.split())
            item.heard = await self._items.memory.hear(text, codes=utterance.codes)
        except Exception as error:  # noqa: BLE001 sent to the client; the session goes on
            item.status, item.latency = "incomplete", None
            facts = self._socket.service.report(error).body()["error"]
            known = {name: fact for name, fact in facts.items() if fact is not None}
            await self._send_words(item, "failed", error=known)
        else:
            await self._understood(item, text, utterance)
        task = asyncio.current_task()
        assert task is not None
        self._floor.understanding.discard(task)  # so that `answer` need not wait for it
        await self._responses.answer()

    async def _understood(self, item: Item, text: str, utterance: Utterance) -> None:
        """The words of a turn are known."""
        item.text, item.status = text, "completed"
        if self._settings.hearing.transcribes:
            delta = item.transcript.whole(text)
            if delta:
                await self._send_words(item, "delta", delta=delta)
            seconds = (utterance.stopped_ms - utterance.started_ms) / 1000
            usage = {"type": "duration", "seconds": seconds}
            await self._send_words(item, "completed", transcript=text, usage=usage)
        await self._items.done(item)
        if text:
            self._floor.is_unanswered = True
        else:
            item.latency = None

    async def _send_words(self, item: Item, kind: str, **facts: Any) -> None:
        """Send an event about the transcript of a turn."""
        await self._events.send(
            f"conversation.item.input_audio_transcription.{kind}",
            item_id=item.name,
            content_index=0,
            **facts,
        )
