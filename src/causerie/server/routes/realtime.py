"""OpenAI's Realtime protocol, as far as it speaks: `WS /v1/realtime`.

A response speaks the text of the user's messages, word for word.

    → session.update {audio: {output: {voice, format, speed}}}
    → conversation.item.create {item: {role: "user", content: [{type: "input_text", text}]}}
    → response.create {response?: {input?, conversation?: "none", audio?, …}}
    ← response.created … response.output_audio.delta … response.done
    → response.cancel
    → conversation.item.truncate {item_id, audio_end_ms}

Responses of the conversation are context of later ones in the same voice, as far as they were
heard. The session goes on after an error. There is no audio input.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from fastapi import APIRouter, WebSocket
from pydantic import Field

from causerie.audio import formats
from causerie.audio.formats import MAX_SPEED, MIN_SPEED, Encoder
from causerie.conversation import Playback
from causerie.reply.async_stream import AsyncStream
from causerie.server.errors import ApiError
from causerie.server.json_body import Seed
from causerie.server.sockets import GoneError, Message, Socket, check_key, well_formed
from causerie.server.texts import CheckedText

router = APIRouter()

#: Items of a conversation: enough for days, even if the client never deletes one.
MAX_ITEMS = 2000
#: Responses at the same time, of which one may be in the conversation.
MAX_RESPONSES = 8
#: Prefix of the subprotocol by which a browser, which cannot set headers, sends its key.
KEY_PROTOCOL = "openai-insecure-api-key."

_FORMATS = {"audio/pcm": "pcm", "audio/pcmu": "ulaw", "audio/pcma": "alaw"}
_RATES = {"audio/pcm": 24_000, "audio/pcmu": 8000, "audio/pcma": 8000}


class _Format(Message):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: Literal[24000, 8000] | None = None


class _VoiceId(Message):
    id: str


class _Output(Message):
    voice: str | _VoiceId | None = None
    format: _Format | None = None
    speed: float | None = Field(default=None, ge=MIN_SPEED, le=MAX_SPEED)


class _Audio(Message):
    output: _Output | None = None


class _Session(Message):
    type: Literal["realtime"] = "realtime"
    audio: _Audio | None = None
    instructions: str | None = None
    output_modalities: list[Literal["audio"]] | None = None


class _Content(Message):
    type: str | None = None
    text: str | None = None
    transcript: str | None = None


class _NewItem(Message):
    type: Literal["message", "item_reference"] = "message"
    id: str | None = Field(default=None, min_length=1, max_length=64)
    role: Literal["user", "assistant", "system"] = "user"
    content: list[_Content] = Field(default_factory=list, max_length=1000)


class _NewResponse(Message):
    audio: _Audio | None = None
    conversation: str | None = None
    input: list[_NewItem] | None = Field(default=None, max_length=1000)
    max_output_tokens: int | Literal["inf"] | None = None
    metadata: dict[str, str] | None = Field(default=None, max_length=16)
    output_modalities: list[Literal["audio"]] | None = None
    seed: Seed = None  # not in OpenAI's protocol


class _SessionUpdate(Message):
    session: _Session


class _ItemCreate(Message):
    item: _NewItem
    previous_item_id: str | None = None


class _ItemId(Message):
    item_id: str


class _Truncate(Message):
    item_id: str
    content_index: Literal[0] = 0
    audio_end_ms: int = Field(ge=0)


class _Create(Message):
    response: _NewResponse = Field(default_factory=_NewResponse)


class _Cancel(Message):
    response_id: str | None = None


class _Item:
    """A message of the conversation.

    Attributes:
        is_spoken: whether a response has spoken it.
        playback: of the item's audio, if it is a response.
    """

    def __init__(self, name: str, role: str, text: str, status: str = "completed") -> None:
        self.name, self.role, self.text, self.status = name, role, text, status
        self.is_spoken = False
        self.playback: Playback | None = None

    def json(self) -> dict[str, Any]:
        """The item in OpenAI's format."""
        if self.playback is not None:
            content = [{"type": "output_audio", "transcript": self.text}]
        elif self.role == "assistant":
            content = [{"type": "output_text", "text": self.text}] if self.text else []
        else:
            content = [{"type": "input_text", "text": self.text}]
        return {
            "id": self.name,
            "object": "realtime.item",
            "type": "message",
            "status": self.status,
            "role": self.role,
            "content": content,
        }


class _Response:
    """A response, in progress or ended.

    Attributes:
        item: its audio, as a message of the conversation.
    """

    def __init__(
        self, item: _Item, encoder: Encoder, output: dict[str, Any], options: _NewResponse
    ) -> None:
        self.name = _name("resp")
        self.item, self.encoder, self.output, self.options = item, encoder, output, options
        self.in_conversation = options.conversation != "none"
        self.status = "in_progress"
        self.details: dict[str, Any] | None = None
        self.task: asyncio.Task[None] | None = None


class _Connection:
    """One session."""

    def __init__(self, socket: Socket, model: str) -> None:
        self.socket, self.service = socket, socket.service
        self.model, self.instructions = model, ""
        self.voice = self.service.folder_model(model)
        self.format, self.speed = "audio/pcm", 1.0
        self.frame_rate = self.service.tts.checkpoint.codec.config.frame_rate
        self.name, self.conversation = _name("sess"), _name("conv")
        self.memory = self.service.tts.conversation()
        self.items: list[_Item] = []
        self.active: dict[str, _Response] = {}
        self.handlers: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "session.update": self.update,
            "conversation.item.create": self.create_item,
            "conversation.item.retrieve": self.retrieve_item,
            "conversation.item.truncate": self.truncate_item,
            "conversation.item.delete": self.delete_item,
            "response.create": self.respond,
            "response.cancel": self.cancel,
        }

    async def run(self) -> None:
        """Handle events until the client disconnects."""
        await self.send("session.created", session=self.session())
        while True:
            event: dict[str, Any] = {}
            try:
                event = await self.socket.receive()
                kind = event.get("type")
                if not isinstance(kind, str) or kind not in self.handlers:
                    raise ApiError(
                        f"event type {kind!r} is not supported: use {', '.join(self.handlers)}",
                        code="unknown_event",
                        param="type",
                    )
                await self.handlers[kind](event)
            except GoneError:
                raise
            except Exception as error:  # noqa: BLE001 sent to the client; the session goes on
                await self.send_error(error, event.get("event_id"))

    # The session

    def session(self) -> dict[str, Any]:
        """The session in OpenAI's format."""
        return {
            "type": "realtime",
            "object": "realtime.session",
            "id": self.name,
            "model": self.model,
            "output_modalities": ["audio"],
            "instructions": self.instructions,
            "tools": [],
            "tool_choice": "none",
            "max_output_tokens": "inf",
            "audio": {
                "input": {"turn_detection": None, "transcription": None},
                "output": self.settings(None),
            },
        }

    def settings(self, options: _Output | None) -> dict[str, Any]:
        """The output settings: the given ones, else those of the session."""
        kind, voice, speed = self.format, self.voice or self.service.default_voice, self.speed
        if options is not None:
            kind = options.format.type if options.format is not None else kind
            if options.voice is not None:
                voice = options.voice if isinstance(options.voice, str) else options.voice.id
            speed = options.speed if options.speed is not None else speed
            if options.format is not None and options.format.rate not in (None, _RATES[kind]):
                raise ApiError(
                    f"{kind} has a rate of {_RATES[kind]} Hz, not {options.format.rate}",
                    code="invalid_value",
                    param="audio.output.format.rate",
                )
        return {"format": {"type": kind, "rate": _RATES[kind]}, "voice": voice, "speed": speed}

    async def update(self, event: dict[str, Any]) -> None:
        """Change the settings: all that are given, or none."""
        options = _SessionUpdate.read(event).session
        output = self.settings(options.audio.output if options.audio is not None else None)
        await self.service.find_voice(output["voice"])
        self.voice, self.format = output["voice"], output["format"]["type"]
        self.speed = output["speed"]
        if options.instructions is not None:
            self.instructions = options.instructions
        await self.send("session.updated", session=self.session())

    # Items

    async def create_item(self, event: dict[str, Any]) -> None:
        """Add a message to the conversation."""
        message = _ItemCreate.read(event)
        item = self.new_item(message.item)
        if len(self.items) >= MAX_ITEMS:
            raise ApiError(
                f"the conversation has {MAX_ITEMS:,} items already: delete some",
                code="too_many_items",
            )
        if any(other.name == item.name for other in self.items):
            raise ApiError(f"item {item.name} exists already", code="item_exists", param="item.id")
        place = len(self.items)
        if message.previous_item_id == "root":
            place = 0
        elif message.previous_item_id is not None:
            place = self.items.index(self.item(message.previous_item_id, "previous_item_id")) + 1
        await self.add(item, place)
        await self.send(
            "conversation.item.done", item=item.json(), previous_item_id=self.previous_id(item)
        )

    def new_item(self, new: _NewItem) -> _Item:
        """The item that a client describes."""
        parts = []
        for part in new.content:
            text = part.text if part.text is not None else part.transcript
            if part.type not in (None, "input_text", "output_text", "text") or text is None:
                raise ApiError(
                    f"content of type {part.type!r} is not supported: send input_text, with text",
                    code="invalid_value",
                    param="item.content",
                )
            parts.append(text)
        if not parts:
            raise ApiError(
                "the item has no content: send input_text",
                code="missing_required_parameter",
                param="item.content",
            )
        text = well_formed(" ".join(parts))
        return _Item(new.id or _name("item"), new.role, self.service.texts.plain(text))

    async def add(self, item: _Item, place: int) -> None:
        """Insert an item into the conversation, and report it."""
        self.items.insert(place, item)
        await self.send(
            "conversation.item.added", item=item.json(), previous_item_id=self.previous_id(item)
        )

    def previous_id(self, item: _Item) -> str | None:
        """The id of the item before this one."""
        place = self.items.index(item)
        return self.items[place - 1].name if place else None

    def item(self, name: str, param: str = "item_id") -> _Item:
        """The item with an id."""
        for item in self.items:
            if item.name == name:
                return item
        raise ApiError(f"there is no item {name!r}", code="item_not_found", param=param)

    async def retrieve_item(self, event: dict[str, Any]) -> None:
        """Send an item."""
        item = self.item(_ItemId.read(event).item_id)
        await self.send("conversation.item.retrieved", item=item.json())

    async def delete_item(self, event: dict[str, Any]) -> None:
        """Delete an item."""
        item = self.item(_ItemId.read(event).item_id)
        if item.status == "in_progress":
            raise ApiError(
                f"item {item.name} is being spoken: cancel its response first",
                code="item_in_progress",
                param="item_id",
            )
        self.items.remove(item)
        if item.playback is not None:
            self.memory.remove(item.playback)
        await self.send("conversation.item.deleted", item_id=item.name)

    async def truncate_item(self, event: dict[str, Any]) -> None:
        """Cut a response to what was heard of it."""
        message = _Truncate.read(event)
        item = self.item(message.item_id)
        if item.playback is None or item.status == "in_progress":
            reason = (
                "is being spoken: cancel its response first" if item.playback else "has no audio"
            )
            raise ApiError(
                f"item {item.name} {reason}", code="invalid_item_to_truncate", param="item_id"
            )
        playback = item.playback
        if message.audio_end_ms > playback.sent_ms:
            raise ApiError(
                f"item {item.name} has {playback.sent_ms} ms of audio, less than "
                f"{message.audio_end_ms}",
                code="audio_end_too_late",
                param="audio_end_ms",
            )
        playback.stop(message.audio_end_ms)
        item.text = await asyncio.to_thread(lambda: playback.text)
        await self.send(
            "conversation.item.truncated",
            item_id=item.name,
            content_index=0,
            audio_end_ms=message.audio_end_ms,
        )

    # Responses

    async def respond(self, event: dict[str, Any]) -> None:
        """Begin a response."""
        options = _Create.read(event).response
        if options.conversation not in (None, "auto", "none"):
            raise ApiError(
                f"conversation {options.conversation!r} is neither auto nor none",
                code="invalid_value",
                param="response.conversation",
            )
        self.check_capacity(options)
        output = self.settings(options.audio.output if options.audio is not None else None)
        voice = await self.service.find_voice(output["voice"])
        spoken, context = self.source(options)
        text = self.service.texts.joined(CheckedText(item.text) for item in spoken)
        if not spoken:
            raise ApiError(
                "there is nothing to speak: create an item of role user with input_text first, or "
                "send response.input; its text is spoken word for word, instructions are not",
                code="no_input",
                param="response.input",
            )
        kind = output["format"]["type"]
        encoder = formats.encoder(
            _FORMATS[kind],
            sample_rate=self.service.sample_rate,
            out_rate=_RATES[kind],
        )
        memory = self.memory
        if options.input is not None:
            memory = self.service.tts.conversation()
            for item in context:
                if item.playback is not None:
                    memory.add(item.playback)
        segments, notes = await asyncio.to_thread(memory.next_context, voice)
        limit = options.max_output_tokens if isinstance(options.max_output_tokens, int) else None
        reply = await self.service.speak(
            text,
            voice=voice,
            context=segments,
            seed=options.seed,
            speed=output["speed"],
            max_duration_s=None if limit is None else limit / self.frame_rate,
            protocol="realtime",
        )
        reply.notes += notes
        for item in spoken:
            item.is_spoken = True
        item = _Item(_name("item"), "assistant", "", "in_progress")
        response = _Response(item, encoder, output, options)
        self.active[response.name] = response
        item.playback = Playback(reply, voice.name)
        try:
            await self.begin(response)
        except BaseException:
            await reply.aclose()
            raise
        response.task = self.socket.start(self.speak(response, reply))

    def check_capacity(self, options: _NewResponse) -> None:
        """Raise ApiError if too many responses are in progress."""
        if options.conversation != "none" and any(r.in_conversation for r in self.active.values()):
            raise ApiError(
                "the conversation has a response in progress: wait for response.done, or cancel it",
                code="conversation_already_has_active_response",
            )
        if len(self.active) >= MAX_RESPONSES:
            raise ApiError(
                f"{MAX_RESPONSES} responses are in progress: wait for one of them",
                status=429,
                type="rate_limit_error",
                code="too_many_responses",
            )

    def source(self, options: _NewResponse) -> tuple[list[_Item], list[_Item]]:
        """The items to be spoken, and those that are context."""
        if options.input is None:
            return [i for i in self.items if i.role == "user" and not i.is_spoken], self.items
        items = []
        for new in options.input:
            if new.type == "item_reference":
                items.append(self.item(new.id or "", "response.input"))
            else:
                items.append(self.new_item(new))
        return [item for item in items if item.role == "user"], items

    async def begin(self, response: _Response) -> None:
        """Report that a response begins."""
        item = response.item
        await self.send("response.created", response=self.response(response))
        await self.send_for(response, "response.output_item.added", item=item.json())
        if response.in_conversation:
            assert item.playback is not None
            self.memory.add(item.playback)
            await self.add(item, len(self.items))
        await self.send_part(response, "response.content_part.added", part=_part(""))

    async def speak(self, response: _Response, reply: AsyncStream) -> None:
        """Send the audio and the transcript of a response."""
        item, status, num_sent = response.item, "completed", 0
        details: dict[str, Any] | None = None
        assert item.playback is not None
        try:
            async for pcm in reply:
                item.playback.add(pcm)
                texts = reply.texts
                if len(texts) > num_sent:
                    piece = " " * (num_sent > 0) + " ".join(texts[num_sent:])
                    num_sent = len(texts)
                    item.text += piece
                    await self.send_part(
                        response, "response.output_audio_transcript.delta", delta=piece
                    )
                await self.send_audio(response, response.encoder.encode(pcm))
            await self.send_audio(response, response.encoder.finish())
            if reply.stopped == "limit":
                status, details = "incomplete", {"reason": "max_output_tokens"}
        except GoneError:
            raise
        except Exception as error:  # noqa: BLE001 sent to the client; the session goes on
            api_error = self.socket.service.report(error)
            status = "failed"
            facts = api_error.body()["error"]
            details = {"error": {key: facts[key] for key in ("type", "code", "message")}}
        finally:
            await reply.aclose()
        await self.conclude(response, status, details)

    async def send_audio(self, response: _Response, data: bytes) -> None:
        """Send encoded audio, if there is any."""
        if data:
            await self.send_part(
                response, "response.output_audio.delta", delta=base64.b64encode(data).decode()
            )

    async def conclude(
        self, response: _Response, status: str, details: dict[str, Any] | None = None
    ) -> None:
        """Report that a response has ended, and how."""
        del self.active[response.name]
        item = response.item
        response.status = status
        if status != "completed":
            response.details = {"type": status, **(details or {})}
            playback = item.playback
            assert playback is not None
            item.text = await asyncio.to_thread(lambda: playback.text)
        item.status = "completed" if status == "completed" else "incomplete"
        await self.send_part(response, "response.output_audio.done")
        await self.send_part(
            response, "response.output_audio_transcript.done", transcript=item.text
        )
        await self.send_part(response, "response.content_part.done", part=_part(item.text))
        if response.in_conversation and item in self.items:
            await self.send(
                "conversation.item.done", item=item.json(), previous_item_id=self.previous_id(item)
            )
        await self.send_for(response, "response.output_item.done", item=item.json())
        await self.send("response.done", response=self.response(response))

    async def cancel(self, event: dict[str, Any]) -> None:
        """Cancel a response."""
        name = _Cancel.read(event).response_id
        found = [
            response
            for response in self.active.values()
            if (response.in_conversation if name is None else response.name == name)
        ]
        if not found or found[0].task is None:
            raise ApiError(
                "there is no such response in progress",
                code="response_cancel_not_active",
                param="response_id",
            )
        found[0].task.cancel()
        await asyncio.gather(found[0].task, return_exceptions=True)
        if found[0].name in self.active:
            await self.conclude(found[0], "cancelled", {"reason": "client_cancelled"})

    def response(self, response: _Response) -> dict[str, Any]:
        """A response in OpenAI's format."""
        has_ended = response.status != "in_progress"
        playback = response.item.playback
        assert playback is not None
        reply, usage = playback.reply, None
        assert isinstance(reply, AsyncStream)
        if has_ended:
            num_text, num_audio = reply.num_text_tokens, reply.num_context_frames
            usage = {
                "total_tokens": num_text + num_audio + reply.num_frames,
                "input_tokens": num_text + num_audio,
                "output_tokens": reply.num_frames,
                "input_token_details": {"text_tokens": num_text, "audio_tokens": num_audio},
                "output_token_details": {"text_tokens": 0, "audio_tokens": reply.num_frames},
            }
        limit = response.options.max_output_tokens
        return {
            "id": response.name,
            "object": "realtime.response",
            "status": response.status,
            "status_details": response.details,
            "output": [response.item.json()] if has_ended else [],
            "conversation_id": self.conversation if response.in_conversation else None,
            "output_modalities": ["audio"],
            "max_output_tokens": "inf" if limit is None else limit,
            "audio": {"output": response.output},
            "metadata": response.options.metadata,
            "usage": usage,
            **({"notes": reply.notes} if has_ended and reply.notes else {}),
        }

    # Events

    async def send(self, kind: str, **facts: Any) -> None:
        """Send an event."""
        await self.socket.send({"type": kind, "event_id": _name("event"), **facts})

    async def send_for(self, response: _Response, kind: str, **facts: Any) -> None:
        """Send an event about the item of a response."""
        await self.send(kind, response_id=response.name, output_index=0, **facts)

    async def send_part(self, response: _Response, kind: str, **facts: Any) -> None:
        """Send an event about the audio of a response."""
        await self.send_for(response, kind, item_id=response.item.name, content_index=0, **facts)

    async def send_error(self, error: Exception, event_id: object) -> None:
        """Send an error, with the id of the event that caused it."""
        facts = self.socket.service.report(error).body()["error"]
        name = event_id if isinstance(event_id, str) else None
        await self.send("error", error={**facts, "event_id": name})


def _part(transcript: str) -> dict[str, Any]:
    return {"type": "audio", "transcript": transcript}


def _name(kind: str) -> str:
    """A new id."""
    return f"{kind}_{secrets.token_hex(12)}"


@router.websocket("/v1/realtime")
async def realtime(websocket: WebSocket, model: str = "gpt-realtime") -> None:
    """Serve a session, see this module."""
    offered = websocket.scope.get("subprotocols", [])
    keys = [name.removeprefix(KEY_PROTOCOL) for name in offered if name.startswith(KEY_PROTOCOL)]
    if not await check_key(websocket, *keys):
        return
    subprotocol = "realtime" if "realtime" in offered else None
    async with Socket.open(websocket, "realtime", subprotocol=subprotocol) as socket:
        await _Connection(socket, model).run()
