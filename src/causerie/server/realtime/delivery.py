"""What the client gets of a response: sound and its transcript, or text."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import AsyncIterator
from typing import Any

from causerie.server.metrics import Metrics
from causerie.server.realtime.answer import Answer
from causerie.server.realtime.events import Events
from causerie.server.realtime.items import Items
from causerie.server.realtime.response import Response, Speech


class Delivery:
    """Sends responses.

    Args:
        items: of the conversation, which get the responses that are in it.
    """

    def __init__(self, events: Events, items: Items, metrics: Metrics) -> None:
        self._events, self._items, self._metrics = events, items, metrics

    async def begin(self, response: Response) -> None:
        """Report that the speech or text begins."""
        item = response.item
        response.items.append(item)
        await self._send_item(response, "output_item.added", item=item.json())
        if response.conversation is not None:
            if response.speech is not None:
                self._items.memory.conversation.add(response.speech.playback)
            await self._items.add(item)
        await self._send_part(response, "content_part.added", part=_part(response))

    async def deliver(self, response: Response) -> None:
        """Send the speech or text while it is generated."""
        if response.item not in response.items:
            await self.begin(response)
        if response.speech is None:
            await self._write(response)
        else:
            await self._speak(response, response.speech)

    async def end(self, response: Response) -> None:
        """Report that the speech or text has ended."""
        item = response.item
        if response.speech is None:
            await self._send_part(response, "output_text.done", text=item.text)
        else:
            await self._send_part(response, "output_audio.done")
            await self._send_part(response, "output_audio_transcript.done", transcript=item.text)
        await self._send_part(response, "content_part.done", part=_part(response))
        if response.conversation is not None:
            await self._items.done(item)
        await self._send_item(response, "output_item.done", item=item.json())

    async def _write(self, response: Response) -> None:
        """Send the text."""
        item, limit = response.item, response.max_output_tokens
        async for part in _parts(response.text):
            num_sent, text = len(item.text), item.text + part
            ends = [word.end() for word in re.finditer(r"\S+", text)]
            if isinstance(limit, int) and len(ends) > limit:
                response.has_reached_limit = True
                text = text[: max(num_sent, ends[limit - 1])]
            item.text = text
            if len(text) > num_sent:
                await self._send_part(response, "output_text.delta", delta=text[num_sent:])
            if response.has_reached_limit:
                return

    async def _speak(self, response: Response, speech: Speech) -> None:
        """Send the sound and the transcript."""
        item, reply, num_sent = response.item, speech.reply, 0
        async for pcm in reply:
            speech.first_sound = speech.first_sound or time.monotonic()
            speech.playback.add(pcm)
            texts = reply.texts
            if len(texts) > num_sent:
                piece = " " * (num_sent > 0) + " ".join(texts[num_sent:])
                num_sent = len(texts)
                item.text += piece
                await self._send_part(response, "output_audio_transcript.delta", delta=piece)
            await self._send_audio(response, speech.encoder.encode(pcm))
        await self._send_audio(response, speech.encoder.finish())
        response.has_reached_limit = reply.stopped == "limit"

    async def _send_audio(self, response: Response, data: bytes) -> None:
        """Send encoded audio, if there is any."""
        if not data:
            return
        delta = base64.b64encode(data).decode()
        await self._send_part(response, "output_audio.delta", delta=delta)
        if response.latency is not None:
            answer = response.answer
            response.latency_s = response.latency.end(0.0 if answer is None else answer.waited_s)
            response.latency = None
            for part, seconds in response.latency_s.items():
                self._metrics.turn_s.labels(part).observe(seconds)

    async def _send_item(self, response: Response, kind: str, **facts: Any) -> None:
        """Send an event about the item of a response."""
        await self._events.send(
            f"response.{kind}", response_id=response.name, output_index=0, **facts
        )

    async def _send_part(self, response: Response, kind: str, **facts: Any) -> None:
        """Send an event about the only content of that item."""
        name = response.item.name
        await self._send_item(response, kind, item_id=name, content_index=0, **facts)


async def _parts(text: str | Answer) -> AsyncIterator[str]:
    """The text as it comes."""
    if isinstance(text, str):
        yield text
    else:
        async for part in text:
            yield part


def _part(response: Response) -> dict[str, Any]:
    """The content of a response's item, so far."""
    if response.speech is None:
        return {"type": "text", "text": response.item.text}
    return {"type": "audio", "transcript": response.item.text}
