"""The speech of a response, as its client gets it: sound, and the transcript."""

from __future__ import annotations

import base64
import time
from typing import Any

from causerie.server.metrics import Metrics
from causerie.server.realtime.events import Events
from causerie.server.realtime.items import Items
from causerie.server.realtime.memory import Memory
from causerie.server.realtime.response import Response


class Speaking:
    """Sends the speech of responses.

    Args:
        items, memory: of the conversation, which get the responses that are in it.
    """

    def __init__(self, events: Events, items: Items, memory: Memory, metrics: Metrics) -> None:
        self._events, self._items, self._memory = events, items, memory
        self._metrics = metrics

    async def begin(self, response: Response) -> None:
        """Report that the speech begins."""
        item = response.item
        response.items.append(item)
        await self._send_item(response, "response.output_item.added", item=item.json())
        if response.conversation is not None:
            self._memory.conversation.add(response.playback)
            await self._items.add(item)
        await self._send_part(response, "response.content_part.added", part=_part(""))

    async def deliver(self, response: Response) -> None:
        """Send the sound and the transcript while they are generated."""
        item, reply, num_sent = response.item, response.reply, 0
        if item not in response.items:
            await self.begin(response)
        async for pcm in reply:
            response.first_sound = response.first_sound or time.monotonic()
            response.playback.add(pcm)
            texts = reply.texts
            if len(texts) > num_sent:
                piece = " " * (num_sent > 0) + " ".join(texts[num_sent:])
                num_sent = len(texts)
                item.text += piece
                await self._send_part(
                    response, "response.output_audio_transcript.delta", delta=piece
                )
            await self._send_audio(response, response.encoder.encode(pcm))
        await self._send_audio(response, response.encoder.finish())

    async def end(self, response: Response) -> None:
        """Report that the speech has ended."""
        item = response.item
        await self._send_part(response, "response.output_audio.done")
        await self._send_part(
            response, "response.output_audio_transcript.done", transcript=item.text
        )
        await self._send_part(response, "response.content_part.done", part=_part(item.text))
        if response.conversation is not None:
            await self._items.done(item)
        await self._send_item(response, "response.output_item.done", item=item.json())

    async def _send_audio(self, response: Response, data: bytes) -> None:
        """Send encoded audio, if there is any."""
        if not data:
            return
        await self._send_part(
            response, "response.output_audio.delta", delta=base64.b64encode(data).decode()
        )
        if response.latency is not None:
            answer = response.answer
            response.latency_s = response.latency.end(0.0 if answer is None else answer.waited_s)
            response.latency = None
            for part, seconds in response.latency_s.items():
                self._metrics.turn_s.labels(part).observe(seconds)

    async def _send_item(self, response: Response, kind: str, **facts: Any) -> None:
        """Send an event about the item of a response."""
        await self._events.send(kind, response_id=response.name, output_index=0, **facts)

    async def _send_part(self, response: Response, kind: str, **facts: Any) -> None:
        """Send an event about the audio of a response."""
        name = response.item.name
        await self._send_item(response, kind, item_id=name, content_index=0, **facts)


def _part(transcript: str) -> dict[str, Any]:
    return {"type": "audio", "transcript": transcript}
