"""OpenAI's Realtime protocol: `WS /v1/realtime`.

A response speaks what a language model answers (`--llm`), or else the user's words, word for word:
those of text messages, and those that a recognizer hears in the user's sound.

    → session.update {audio: {input: {turn_detection, …}, output: {voice, format, speed}}, …}
    → input_audio_buffer.append {audio} … commit, clear
    ← input_audio_buffer.speech_started, conversation.item.input_audio_transcription.delta …
    ← input_audio_buffer.speech_stopped, committed, …transcription.completed
    → conversation.item.create {item: {role: "user", content: [{type: "input_text", text}]}}
    → response.create {response?: {input?, conversation?: "none", audio?, …}}
    ← response.created … response.output_audio.delta … response.done
      (with output_modalities ["text"]: response.output_text.delta in place of sound)
    → response.cancel
    → conversation.item.truncate {item_id, audio_end_ms}

What the user said, and responses as far as they were heard, are context of later responses. The
session goes on after an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, WebSocket

from causerie.server.errors import ApiError
from causerie.server.realtime.events import Events
from causerie.server.realtime.floor import Floor
from causerie.server.realtime.input_buffer import InputBuffer
from causerie.server.realtime.items import Items
from causerie.server.realtime.memory import Memory
from causerie.server.realtime.messages import SessionUpdate
from causerie.server.realtime.new_items import ItemReader
from causerie.server.realtime.responses import Responses
from causerie.server.realtime.settings import SessionSettings
from causerie.server.realtime.turns import Turns
from causerie.server.sockets import Socket, check_key, refuse
from causerie.server.state import service_of

router = APIRouter()

#: Prefix of the subprotocol by which a browser, which cannot set headers, sends its key.
KEY_PROTOCOL = "openai-insecure-api-key."
#: Characters of a message: those of 15 MiB of sound, the most that OpenAI takes at once.
MAX_CHARS = 20 * 2**20 + 1024


class _Session:
    """What a client talks to: its events go to the parts of the session."""

    def __init__(self, socket: Socket, model: str) -> None:
        self.socket, self.service = socket, socket.service
        voice = self.service.folder_model(model) or self.service.default_voice
        self.settings, self.events = SessionSettings(model, voice), Events(socket)
        conversation, floor = self.service.tts.conversation(), Floor()
        reader = ItemReader(self.service, self.settings)
        items = Items(self.events, Memory(conversation), reader)
        self.responses = Responses(socket, self.events, self.settings, floor, items)
        turns = Turns(socket, self.events, self.settings, floor, items, self.responses)
        self.buffer = InputBuffer(
            self.service, self.events, self.settings, floor, conversation, turns, self.responses
        )
        self.handlers: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "session.update": self.update,
            "input_audio_buffer.append": self.buffer.append,
            "input_audio_buffer.commit": self.buffer.commit,
            "input_audio_buffer.clear": self.buffer.clear,
            "conversation.item.create": items.create,
            "conversation.item.retrieve": items.retrieve,
            "conversation.item.truncate": items.truncate,
            "conversation.item.delete": items.delete,
            "response.create": self.responses.create,
            "response.cancel": self.responses.cancel,
        }

    async def run(self) -> None:
        """Handle events until the client disconnects."""
        await self.events.send("session.created", session=self.settings.json())
        while True:
            event: dict[str, Any] = {}
            async with self.events.telling(event):
                event.update(await self.socket.receive())
                kind = event.get("type")
                if not isinstance(kind, str) or kind not in self.handlers:
                    raise ApiError(
                        f"event type {kind!r} is not supported: use {', '.join(self.handlers)}",
                        code="unknown_event",
                        param="type",
                    )
                await self.handlers[kind](event)

    async def update(self, event: dict[str, Any]) -> None:
        """Change the settings: all that are given, or none."""
        options, before = SessionUpdate.read(event).session, self.settings.hearing
        output = self.settings.output.changed(options)
        await self.service.find_voice(output.voice)
        hearing = before.changed(options.audio)
        if hearing.language not in (None, before.language):
            await asyncio.to_thread(hearing.check_language, self.service.tts)
        self.buffer.change(hearing)
        self.settings.update(options, hearing, output)
        await self.events.send("session.updated", session=self.settings.json())
        await self.responses.answer()


@router.websocket("/v1/realtime")
async def realtime(
    websocket: WebSocket, model: str = "gpt-realtime", call_id: str | None = None
) -> None:
    """Serve a session, see this module."""
    offered = websocket.scope.get("subprotocols", [])
    keys = [name.removeprefix(KEY_PROTOCOL) for name in offered if name.startswith(KEY_PROTOCOL)]
    if not await check_key(websocket, *keys):
        return
    if call_id is not None:
        error = ApiError("there are no calls by SIP here: connect without call_id", param="call_id")
        await refuse(websocket, service_of(websocket).report(error).response())
        return
    subprotocol = "realtime" if "realtime" in offered else None
    async with Socket.open(
        websocket, "realtime", subprotocol=subprotocol, max_chars=MAX_CHARS
    ) as socket:
        await _Session(socket, model).run()
