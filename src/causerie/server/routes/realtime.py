"""The part of OpenAI's Realtime protocol that speaks: `WS /v1/realtime`.

It reads verbatim: a response says the text of the user's messages, word for word.

    → session.update {audio: {output: {voice, format, speed}}}
    → conversation.item.create {item: {role: "user", content: [{type: "input_text", text}]}}
    → response.create {response?: {input?, conversation?: "none", audio?, …}}
    ← response.created … response.output_audio.delta … response.done
    → response.cancel
    → conversation.item.truncate {item_id, audio_end_ms}

Responses of the conversation are context of later ones in the same voice, as far as they were
heard. Errors are told, and the session goes on. Nothing listens: there is no input of sound.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from fastapi import APIRouter, WebSocket
from pydantic import Field

from causerie.audio.formats import MAX_SPEED, MIN_SPEED, Encoder, encoder
from causerie.prompt import Segment
from causerie.reply.async_stream import AsyncStream
from causerie.server.errors import ApiError
from causerie.server.playback import Heard, context
from causerie.server.sockets import GoneError, Message, Socket, check_key, well_formed

router = APIRouter()

#: Items of a conversation; those of a client that never deletes one are enough for days.
MAX_ITEMS = 2000
#: Responses at the same time, of which one may write to the conversation.
MAX_RESPONSES = 8
#: Where a browser, which can set no header, puts its key.
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
    seed: int | None = None  # which OpenAI's has not


class _SessionUpdate(Message):
    session: _Session


class _ItemCreate(Message):
    item: _NewItem
    previous_item_id: str | None = None


class _ItemName(Message):
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
        is_read: whether a response has said it.
        heard: its sound, where we said it.
    """

    def __init__(self, name: str, role: str, text: str, status: str = "completed") -> None:
        self.name, self.role, self.text, self.status = name, role, text, status
        self.is_read = False
        self.heard: Heard | None = None

    def json(self) -> dict[str, Any]:
        """It, as OpenAI writes it."""
        if self.heard is not None:
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
    """Something that is being said.

    Attributes:
        status: in_progress until it is over.
    """

    def __init__(self, item: _Item, made: Encoder, output: dict[str, Any], asked: _NewResponse):
        self.name = _name("resp")
        self.item, self.made, self.output, self.asked = item, made, output, asked
        self.in_conversation = asked.conversation != "none"
        self.status = "in_progress"
        self.details: dict[str, Any] | None = None
        self.task: asyncio.Task[None] | None = None


class _Connection:
    """One session."""

    def __init__(self, socket: Socket, model: str) -> None:
        self.socket, self.service = socket, socket.service
        self.model, self.instructions = model, ""
        self.voice = model if model in self.service.models.found() else None
        self.format, self.speed = "audio/pcm", 1.0
        self.frame_rate = self.service.tts.checkpoint.codec.config.frame_rate
        self.name, self.conversation = _name("sess"), _name("conv")
        self.items: list[_Item] = []
        self.active: dict[str, _Response] = {}
        self.takes: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "session.update": self.update,
            "conversation.item.create": self.create_item,
            "conversation.item.retrieve": self.retrieve_item,
            "conversation.item.truncate": self.truncate_item,
            "conversation.item.delete": self.delete_item,
            "response.create": self.respond,
            "response.cancel": self.cancel,
        }

    async def run(self) -> None:
        """Take events until the client is gone."""
        await self.send("session.created", session=self.session())
        while True:
            event: dict[str, Any] = {}
            try:
                event = await self.socket.receive()
                kind = event.get("type")
                if not isinstance(kind, str) or kind not in self.takes:
                    raise ApiError(
                        f"event type {kind!r} is not known here: there are {', '.join(self.takes)}",
                        code="unknown_event",
                        param="type",
                    )
                await self.takes[kind](event)
            except GoneError:
                raise
            except Exception as error:  # noqa: BLE001 told to the client; the session goes on
                await self.send_error(error, event.get("event_id"))

    # The session

    def session(self) -> dict[str, Any]:
        """All settings, as OpenAI writes them."""
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

    def settings(self, asked: _Output | None) -> dict[str, Any]:
        """How to sound: as asked, else as the session does."""
        kind, voice, speed = self.format, self.voice or self.service.default_voice, self.speed
        if asked is not None:
            kind = asked.format.type if asked.format is not None else kind
            if asked.voice is not None:
                voice = asked.voice if isinstance(asked.voice, str) else asked.voice.id
            speed = asked.speed if asked.speed is not None else speed
            if asked.format is not None and asked.format.rate not in (None, _RATES[kind]):
                raise ApiError(
                    f"{kind} has a rate of {_RATES[kind]} Hz, not {asked.format.rate}",
                    code="invalid_value",
                    param="audio.output.format.rate",
                )
        return {"format": {"type": kind, "rate": _RATES[kind]}, "voice": voice, "speed": speed}

    async def update(self, event: dict[str, Any]) -> None:
        """Take settings; all of them, or none."""
        asked = _SessionUpdate.read(event).session
        output = self.settings(asked.audio.output if asked.audio is not None else None)
        await asyncio.to_thread(self.service.voice, output["voice"])
        self.voice, self.format = output["voice"], output["format"]["type"]
        self.speed = output["speed"]
        if asked.instructions is not None:
            self.instructions = asked.instructions
        await self.send("session.updated", session=self.session())

    # Items

    async def create_item(self, event: dict[str, Any]) -> None:
        """Add a message to the conversation."""
        asked = _ItemCreate.read(event)
        item = self.new_item(asked.item)
        if len(self.items) >= MAX_ITEMS:
            raise ApiError(
                f"the conversation has {MAX_ITEMS:,} items already: delete some",
                code="too_many_items",
            )
        if any(other.name == item.name for other in self.items):
            raise ApiError(
                f"there is an item {item.name} already", code="item_exists", param="item.id"
            )
        place = len(self.items)
        if asked.previous_item_id == "root":
            place = 0
        elif asked.previous_item_id is not None:
            place = self.items.index(self.item(asked.previous_item_id, "previous_item_id")) + 1
        await self.add(item, place)
        await self.send(
            "conversation.item.done", item=item.json(), previous_item_id=self.before(item)
        )

    def new_item(self, asked: _NewItem) -> _Item:
        """A message as a client gives it."""
        parts = []
        for part in asked.content:
            text = part.text if part.text is not None else part.transcript
            if part.type not in (None, "input_text", "output_text", "text") or text is None:
                raise ApiError(
                    f"content of type {part.type!r} is not understood: give input_text, with text",
                    code="invalid_value",
                    param="item.content",
                )
            parts.append(text)
        if not parts:
            raise ApiError(
                "the item has no content: give input_text",
                code="missing_required_parameter",
                param="item.content",
            )
        text = well_formed(" ".join(parts))
        self.service.check_text(text)
        return _Item(asked.id or _name("item"), asked.role, text)

    async def add(self, item: _Item, place: int) -> None:
        """Put an item into the conversation, and tell of it."""
        self.items.insert(place, item)
        await self.send(
            "conversation.item.added", item=item.json(), previous_item_id=self.before(item)
        )

    def before(self, item: _Item) -> str | None:
        """The name of the item before."""
        place = self.items.index(item)
        return self.items[place - 1].name if place else None

    def item(self, name: str, param: str = "item_id") -> _Item:
        """The item of a name."""
        for item in self.items:
            if item.name == name:
                return item
        raise ApiError(f"there is no item {name!r}", code="item_not_found", param=param)

    async def retrieve_item(self, event: dict[str, Any]) -> None:
        """Tell what an item holds."""
        item = self.item(_ItemName.read(event).item_id)
        await self.send("conversation.item.retrieved", item=item.json())

    async def delete_item(self, event: dict[str, Any]) -> None:
        """Forget an item."""
        item = self.item(_ItemName.read(event).item_id)
        if item.status == "in_progress":
            raise ApiError(
                f"item {item.name} is being spoken: cancel its response first",
                code="item_in_progress",
                param="item_id",
            )
        self.items.remove(item)
        await self.send("conversation.item.deleted", item_id=item.name)

    async def truncate_item(self, event: dict[str, Any]) -> None:
        """Let the conversation hold no more of a response than was heard."""
        asked = _Truncate.read(event)
        item = self.item(asked.item_id)
        if item.heard is None or item.status == "in_progress":
            why = "is being spoken: cancel its response first" if item.heard else "has no sound"
            raise ApiError(
                f"item {item.name} {why}", code="invalid_item_to_truncate", param="item_id"
            )
        heard = item.heard
        if asked.audio_end_ms > heard.sent_ms:
            raise ApiError(
                f"item {item.name} has {heard.sent_ms} ms of sound, less than {asked.audio_end_ms}",
                code="audio_end_too_late",
                param="audio_end_ms",
            )
        heard.stop(asked.audio_end_ms)
        item.text = await asyncio.to_thread(lambda: heard.text)
        await self.send(
            "conversation.item.truncated",
            item_id=item.name,
            content_index=0,
            audio_end_ms=asked.audio_end_ms,
        )

    # Responses

    async def respond(self, event: dict[str, Any]) -> None:
        """Say something."""
        asked = _Create.read(event).response
        if asked.conversation not in (None, "auto", "none"):
            raise ApiError(
                f"conversation {asked.conversation!r} is neither auto nor none",
                code="invalid_value",
                param="response.conversation",
            )
        self.check_room(asked)
        output = self.settings(asked.audio.output if asked.audio is not None else None)
        voice = await asyncio.to_thread(self.service.voice, output["voice"])
        read, before = self.source(asked)
        text = " ".join(item.text for item in read)
        if not text:
            raise ApiError(
                "there is nothing to say: create an item of role user with input_text first, or "
                "give response.input; it is read word for word, and instructions are not",
                code="no_input",
                param="response.input",
            )
        kind = output["format"]["type"]
        made = encoder(
            _FORMATS[kind],
            sample_rate=self.service.sample_rate,
            out_rate=_RATES[kind],
            speed=output["speed"],
        )
        said: list[Segment] = await asyncio.to_thread(
            context, [item.heard for item in before if item.heard is not None], voice.name
        )
        limit = asked.max_output_tokens if isinstance(asked.max_output_tokens, int) else None
        speech = await self.service.speak(
            text,
            voice=voice,
            context=said,
            seed=asked.seed,
            max_duration_s=None if limit is None else limit / self.frame_rate,
            protocol="realtime",
        )
        for item in read:
            item.is_read = True
        item = _Item(_name("item"), "assistant", "", "in_progress")
        response = _Response(item, made, output, asked)
        self.active[response.name] = response
        item.heard = Heard(speech, voice.name, output["speed"])
        try:
            await self.begin(response)
        except BaseException:
            await speech.aclose()
            raise
        response.task = self.socket.start(self.speak(response, speech))

    def check_room(self, asked: _NewResponse) -> None:
        """Raise ApiError where too much is being said already."""
        if asked.conversation != "none" and any(r.in_conversation for r in self.active.values()):
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

    def source(self, asked: _NewResponse) -> tuple[list[_Item], list[_Item]]:
        """The items that are to be said, and those that are context."""
        if asked.input is None:
            return [i for i in self.items if i.role == "user" and not i.is_read], self.items
        items = []
        for given in asked.input:
            if given.type == "item_reference":
                items.append(self.item(given.id or "", "response.input"))
            else:
                items.append(self.new_item(given))
        return [item for item in items if item.role == "user"], items

    async def begin(self, response: _Response) -> None:
        """Tell that a response begins."""
        item = response.item
        await self.send("response.created", response=self.response(response))
        await self.tell(response, "response.output_item.added", item=item.json())
        if response.in_conversation:
            await self.add(item, len(self.items))
        await self.tell_part(response, "response.content_part.added", part=_part(""))

    async def speak(self, response: _Response, speech: AsyncStream) -> None:
        """Say a response."""
        item, status, num_told = response.item, "completed", 0
        details: dict[str, Any] | None = None
        assert item.heard is not None
        try:
            async for pcm in speech:
                item.heard.add(pcm)
                begun = speech.texts
                if len(begun) > num_told:
                    piece = " " * (num_told > 0) + " ".join(begun[num_told:])
                    num_told = len(begun)
                    item.text += piece
                    await self.tell_part(
                        response, "response.output_audio_transcript.delta", delta=piece
                    )
                await self.send_sound(response, response.made.encode(pcm))
            await self.send_sound(response, response.made.finish())
            if speech.stopped == "limit":
                status, details = "incomplete", {"reason": "max_output_tokens"}
        except GoneError:
            raise
        except Exception as error:  # noqa: BLE001 told to the client; the session goes on
            told = self.socket.service.report(error)
            status = "failed"
            details = {"error": {"type": told.type, "code": told.code, "message": told.message}}
        finally:
            await speech.aclose()
        await self.conclude(response, status, details)

    async def send_sound(self, response: _Response, data: bytes) -> None:
        """Send what there is."""
        if data:
            await self.tell_part(
                response, "response.output_audio.delta", delta=base64.b64encode(data).decode()
            )

    async def conclude(
        self, response: _Response, status: str, details: dict[str, Any] | None = None
    ) -> None:
        """Tell that a response is over, and how."""
        del self.active[response.name]
        item = response.item
        response.status = status
        if status != "completed":
            response.details = {"type": status, **(details or {})}
            heard = item.heard
            assert heard is not None
            item.text = await asyncio.to_thread(lambda: heard.text)
        item.status = "completed" if status == "completed" else "incomplete"
        await self.tell_part(response, "response.output_audio.done")
        await self.tell_part(
            response, "response.output_audio_transcript.done", transcript=item.text
        )
        await self.tell_part(response, "response.content_part.done", part=_part(item.text))
        if response.in_conversation and item in self.items:
            await self.send(
                "conversation.item.done", item=item.json(), previous_item_id=self.before(item)
            )
        await self.tell(response, "response.output_item.done", item=item.json())
        await self.send("response.done", response=self.response(response))

    async def cancel(self, event: dict[str, Any]) -> None:
        """Say no more of a response."""
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
        """It, as OpenAI writes it."""
        is_over = response.status != "in_progress"
        heard = response.item.heard
        assert heard is not None
        speech, usage = heard.speech, None
        if is_over:
            num_text, num_sound = speech.num_text_tokens, speech.num_context_frames
            usage = {
                "total_tokens": num_text + num_sound + speech.num_frames,
                "input_tokens": num_text + num_sound,
                "output_tokens": speech.num_frames,
                "input_token_details": {"text_tokens": num_text, "audio_tokens": num_sound},
                "output_token_details": {"text_tokens": 0, "audio_tokens": speech.num_frames},
            }
        limit = response.asked.max_output_tokens
        return {
            "id": response.name,
            "object": "realtime.response",
            "status": response.status,
            "status_details": response.details,
            "output": [response.item.json()] if is_over else [],
            "conversation_id": self.conversation if response.in_conversation else None,
            "output_modalities": ["audio"],
            "max_output_tokens": "inf" if limit is None else limit,
            "audio": {"output": response.output},
            "metadata": response.asked.metadata,
            "usage": usage,
        }

    # Events

    async def send(self, kind: str, **facts: Any) -> None:
        """Send an event."""
        await self.socket.send({"type": kind, "event_id": _name("event"), **facts})

    async def tell(self, response: _Response, kind: str, **facts: Any) -> None:
        """Send an event about the item of a response."""
        await self.send(kind, response_id=response.name, output_index=0, **facts)

    async def tell_part(self, response: _Response, kind: str, **facts: Any) -> None:
        """Send an event about the sound of a response."""
        await self.tell(response, kind, item_id=response.item.name, content_index=0, **facts)

    async def send_error(self, error: Exception, event_id: object) -> None:
        """Tell what went wrong, and by which event."""
        facts = self.socket.service.report(error).body()["error"]
        name = event_id if isinstance(event_id, str) else None
        await self.send("error", error={**facts, "event_id": name})


def _part(transcript: str) -> dict[str, Any]:
    return {"type": "audio", "transcript": transcript}


def _name(kind: str) -> str:
    """A new name of something."""
    return f"{kind}_{secrets.token_hex(12)}"


@router.websocket("/v1/realtime")
async def realtime(websocket: WebSocket, model: str = "gpt-realtime") -> None:
    """See this module."""
    offered = websocket.scope.get("subprotocols", [])
    keys = [name.removeprefix(KEY_PROTOCOL) for name in offered if name.startswith(KEY_PROTOCOL)]
    if not await check_key(websocket, *keys):
        return
    subprotocol = "realtime" if "realtime" in offered else None
    async with Socket.open(websocket, "realtime", subprotocol=subprotocol) as socket:
        await _Connection(socket, model).run()
