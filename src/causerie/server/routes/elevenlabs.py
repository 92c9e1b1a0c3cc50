"""ElevenLabs' WebSockets: text in as it is written, audio out with the times of its letters.

`WS /v1/text-to-speech/{voice}/stream-input` speaks one text, `…/multi-stream-input` several at
once, each in a context:

    → {"text": " ", "context_id": "a", "voice_settings": {"speed": 1.1}}
    → {"text": "Hello. How ", "context_id": "a"}            whole sentences are spoken at once
    → {"text": "are you?", "context_id": "a", "flush": true}
    ← {"audio": "…", "alignment": {"chars": ["H", …], "charStartTimesMs": [0, …],
       "charDurationsMs": [71, …]}, "normalizedAlignment": …, "contextId": "a", "context_id": "a"}
    → {"context_id": "a", "close_context": true}
    ← {"isFinal": true, "contextId": "a", "context_id": "a"}
    → {"close_socket": true}
    ← {"message": "…", "error": "voice_not_found", "code": 1008}

The sentences of a context are one reply in one voice. A context that is closed is spoken to its end
if all of it was flushed, and is cut off otherwise. The times are those of
`causerie.server.alignment`, an estimate; they count from the first letter of their message, so they
add up. Of `voice_settings` only `speed` is supported; models, languages and chunk schedules are
ignored. SSML is read with and without `enable_ssml_parsing`. The first message of a text may have
`pronunciation_dictionary_locators`.
"""

from __future__ import annotations

import asyncio
import base64
import re
from typing import Any, Final, Literal

from fastapi import APIRouter, WebSocket
from pydantic import AliasChoices, Field

from causerie.audio import formats
from causerie.audio.formats import MAX_SPEED, MIN_SPEED, Encoder
from causerie.errors import ConfigError, TextError
from causerie.server.alignment import Alignment, Letter
from causerie.server.auth import check_key, keys_of
from causerie.server.dictionaries import Locator
from causerie.server.errors import ApiError
from causerie.server.json_body import Seed
from causerie.server.sockets import Feed, GoneError, Message, Socket, refuse
from causerie.server.state import service_of
from causerie.server.threads import in_store
from causerie.text.lexicon import UserLexicon
from causerie.tts import OnOff
from causerie.voices import Voice

router = APIRouter()

#: Seconds without a message until an idle context or connection is closed: default and maximum.
INACTIVITY_S, MAX_INACTIVITY_S = 20.0, 180.0
#: Seconds within which a client without a key in its headers must send one.
KEY_S = 10.0
#: Open contexts of one connection.
MAX_CONTEXTS = 32

_FORMAT = re.compile(r"(mp3|opus|pcm|wav|ulaw|alaw|aac|flac)_(\d{4,6})(?:_(\d{1,3}))?")
DEFAULT_FORMAT = "mp3_44100_128"
_EXAMPLES = "mp3_44100_128, mp3_22050_32, pcm_24000, pcm_16000, ulaw_8000, alaw_8000, opus_48000_64"
_REFUSED: Final = 1008


class _Query(Message):
    output_format: str = DEFAULT_FORMAT
    inactivity_timeout: float = Field(default=INACTIVITY_S, gt=0)
    apply_text_normalization: Literal["auto", "on", "off"] = "auto"
    seed: Seed = None


class VoiceSettings(Message):
    """ElevenLabs' voice settings, of which one is supported."""

    speed: float | None = Field(default=None, ge=MIN_SPEED, le=MAX_SPEED)


class _Input(Message):
    text: str | None = None
    context_id: str | None = Field(
        default=None, max_length=256, validation_alias=AliasChoices("context_id", "contextId")
    )
    flush: bool = False
    close_context: bool = False
    close_socket: bool = False
    keep_alive: bool = False
    voice_settings: VoiceSettings | None = None
    pronunciation_dictionary_locators: list[Locator] | None = Field(default=None, max_length=3)
    xi_api_key: str | None = Field(
        default=None, validation_alias=AliasChoices("xi_api_key", "xi-api-key")
    )
    authorization: str | None = None


def normalize_of(setting: Literal["auto", "on", "off"]) -> OnOff | None:
    """The library's argument for ElevenLabs' `apply_text_normalization`."""
    return None if setting == "auto" else setting


def new_encoder(output_format: str, sample_rate: int, num_samples: int | None = None) -> Encoder:
    """The encoder of a format such as `mp3_44100_128`: name, rate in Hz, kbit/s.

    The other arguments are those of `formats.encoder`.

    Raises:
        ConfigError: the format is unknown.
    """
    match = _FORMAT.fullmatch(output_format.lower())
    if match is None:
        raise ConfigError(f"output_format {output_format!r} is unknown: use one like {_EXAMPLES}")
    name, rate, kilobits = match.groups()
    return formats.encoder(
        name,
        sample_rate=sample_rate,
        out_rate=int(rate),
        bit_rate=None if kilobits is None else 1000 * int(kilobits),
        num_samples=num_samples,
    )


class _Context:
    """A text and its audio.

    Attributes:
        active_at: when the latest message for it was received.
        is_final: whether its last message was sent.
        previous: an earlier context of the same name, which must end first.
    """

    def __init__(self, name: str | None, max_chars: int) -> None:
        self.name = name
        self.feed = Feed(max_chars)
        self.speed = 1.0
        self.lexicon: UserLexicon | None = None
        self.active_at = 0.0
        self.is_final = False
        self.task: asyncio.Task[None] | None = None
        self.previous: asyncio.Task[None] | None = None
        self.letters: list[Letter] = []  # not sent yet


class _Session:
    """One connection.

    Args:
        is_multi: whether it has several contexts.
    """

    def __init__(self, socket: Socket, voice_name: str, query: dict[str, str], is_multi: bool):
        self.socket, self.service, self.is_multi = socket, socket.service, is_multi
        self.voice_name, self.raw_query = voice_name, query
        self.query = _Query()
        self.voice: Voice
        self.contexts: dict[str | None, _Context] = {}  # those that accept text
        self.alive: set[_Context] = set()  # those that have not ended
        self.is_closing = False
        self.active_at = 0.0

    async def run(self) -> None:
        """Handle messages until the client disconnects."""
        try:
            self.query = _Query.read(self.raw_query)
            new_encoder(self.query.output_format, self.service.sample_rate)
            self.voice = await self.service.find_voice(self.voice_name)
        except Exception as error:  # noqa: BLE001 sent to the client
            await self.fail(error)
            return
        self.active_at = self.now()
        while True:
            try:
                message = await asyncio.wait_for(self.socket.receive(), self.patience_s())
                self.active_at = self.now()
                await self.handle(_Input.read(message))
            except asyncio.TimeoutError:
                if await self.close_idle():
                    return
            except GoneError:
                raise
            except Exception as error:  # noqa: BLE001 sent to the client; other contexts go on
                await self.send_error(error)

    async def handle(self, message: _Input) -> None:
        """Handle a message."""
        if self.is_closing:
            raise ApiError("the connection is closing: open another", code="session_closed")
        name = message.context_id if self.is_multi else None
        context = self.contexts.get(name)
        if context is not None:
            context.active_at = self.active_at
        if message.close_socket or (message.text == "" and not self.is_multi):
            self.close()
        elif message.close_context and self.is_multi:
            if context is not None:
                await self.close_context(context)
        elif message.text or (message.flush and context is not None):
            context = context or self.new_context(name)
            settings = message.voice_settings
            if settings is not None and settings.speed is not None and not context.feed.is_begun:
                context.speed = settings.speed
            if message.pronunciation_dictionary_locators and not context.feed.is_begun:
                context.lexicon = await in_store(
                    self.service.dictionaries.lexicon, message.pronunciation_dictionary_locators
                )
            try:
                context.feed.add(message.text or "")
            except ApiError as error:
                await self.send_error(error, context)
                return
            if message.flush:
                context.feed.flush()
        elif message.text is None and not (message.flush or message.keep_alive):
            raise ApiError(
                "the message has no text: send text, flush, close_context or close_socket",
                code="missing_required_parameter",
                param="text",
            )

    def new_context(self, name: str | None) -> _Context:
        """Open a context."""
        if len(self.alive) >= MAX_CONTEXTS:
            raise ApiError(
                f"{MAX_CONTEXTS} contexts are open already: close one",
                status=429,
                type="rate_limit_error",
                code="max_active_conversations",
            )
        context = _Context(name, self.service.settings.max_input_chars)
        context.active_at = self.active_at
        context.previous = next((c.task for c in self.alive if c.name == name), None)
        self.contexts[name] = context
        self.alive.add(context)
        context.task = self.socket.start(self.speak(context))
        return context

    async def close_context(self, context: _Context) -> None:
        """Finish a context if all of it was flushed; otherwise cut it off."""
        del self.contexts[context.name]
        if context.feed.is_flushed:
            context.feed.end()
            return
        assert context.task is not None
        context.task.cancel()
        await asyncio.gather(context.task, return_exceptions=True)
        self.alive.discard(context)
        if not context.is_final:
            await self.send_final(context)

    def close(self) -> None:
        """Finish all contexts, then close the connection."""
        self.is_closing = True
        if not self.is_multi and not self.contexts:
            self.new_context(None)
        for context in self.contexts.values():
            context.feed.end()
        self.socket.start(self.finish())

    async def finish(self) -> None:
        """Close the connection once all contexts have ended."""
        tasks = [context.task for context in self.alive if context.task is not None]
        if tasks:
            await asyncio.wait(tasks)
        await self.socket.close()

    async def speak(self, context: _Context) -> None:
        """Speak a context to its end."""
        if context.previous is not None:
            await asyncio.wait([context.previous])
            context.previous = None
        notes: list[str] = []
        try:
            if await context.feed.has_text():
                notes = await self.send_reply(context)
        except GoneError:
            raise
        except TextError as error:  # such as of an emoji alone: the context ends normally
            notes = [str(error)]
        except Exception as error:  # noqa: BLE001 sent to the client; other contexts go on
            await self.fail_context(context, error)
            return
        self.remove(context)
        await self.send_final(context, notes)

    async def send_reply(self, context: _Context) -> list[str]:
        """Send the audio of a context, and return the notes of the reply."""
        encoder = new_encoder(self.query.output_format, self.service.sample_rate)
        alignment = Alignment(context.speed)
        reply = await self.service.speak(
            context.feed,
            voice=self.voice,
            seed=self.query.seed,
            speed=context.speed,
            lexicon=context.lexicon,
            normalize=normalize_of(self.query.apply_text_normalization),
            allow_silence=False,  # a context without a word has no audio
            protocol="elevenlabs",
        )

        async def send_rest() -> None:
            context.letters += alignment.rest()
            await self.send_audio(context, b"", is_waiting=True)

        context.feed.on_wait, context.feed.wait_spoken = send_rest, reply.spoken
        try:
            async for pcm in reply:
                context.letters += alignment.follow(reply, pcm)
                await self.send_audio(context, encoder.encode(pcm))
            context.letters += alignment.rest()
            await self.send_audio(context, encoder.finish(), is_waiting=True)
        finally:
            await reply.aclose()
        return reply.notes

    async def send_audio(self, context: _Context, data: bytes, is_waiting: bool = False) -> None:
        """Send audio with its letters, or the letters alone if no audio follows for now."""
        if not data and not (is_waiting and context.letters):
            return
        times = alignment_of(context.letters)
        context.letters = []
        await self.socket.send(
            {
                "audio": base64.b64encode(data).decode() if data else None,
                "isFinal": None,
                "alignment": times,
                "normalizedAlignment": times,
                **self.names(context),
            }
        )

    async def send_final(self, context: _Context, notes: list[str] | None = None) -> None:
        """Send the last message of a context."""
        message = {"audio": None, "isFinal": True, **self.names(context)}
        await self.socket.send({**message, "notes": notes} if notes else message)
        context.is_final = True

    async def fail_context(self, context: _Context, error: Exception) -> None:
        """Report why a context failed, and close it, or the connection if that has only one."""
        self.remove(context)
        context.feed.close()
        if self.is_multi:
            await self.send_error(error, context)
            context.is_final = True
        else:
            await self.fail(error)

    def remove(self, context: _Context) -> None:
        """Remove a context that has ended."""
        self.alive.discard(context)
        if self.contexts.get(context.name) is context:
            del self.contexts[context.name]

    async def fail(self, error: Exception) -> None:
        """Send an error, and close the connection."""
        message = await self.send_error(error)
        await self.socket.close(message["code"], message["message"])

    async def send_error(self, error: Exception, context: _Context | None = None) -> dict[str, Any]:
        """Send an error in ElevenLabs' shape, with the close code of a WebSocket."""
        api_error = self.socket.service.report(error)
        status = api_error.status
        code = _REFUSED if status < 429 else 1013 if status in (429, 503) else 1011
        message: dict[str, Any] = {
            "message": api_error.message,
            "error": api_error.code,
            "code": code,
        }
        await self.socket.send(message | (self.names(context) if context is not None else {}))
        return message

    def names(self, context: _Context) -> dict[str, Any]:
        """The id of the context, in both spellings that clients read."""
        return {"contextId": context.name, "context_id": context.name} if self.is_multi else {}

    def now(self) -> float:
        """The time of the event loop, in seconds."""
        return asyncio.get_running_loop().time()

    @property
    def timeout_s(self) -> float:
        """Seconds until idle contexts and connections are closed."""
        return min(self.query.inactivity_timeout, MAX_INACTIVITY_S)

    def patience_s(self) -> float:
        """Seconds to wait for the next message."""
        since = [self.active_at, *(context.active_at for context in self.contexts.values())]
        return max(0.05, min(1.0, min(since) + self.timeout_s - self.now()))

    async def close_idle(self) -> bool:
        """Close idle contexts, and the connection if it is idle; returns whether it was closed."""
        latest = self.now() - self.timeout_s
        if self.is_multi:
            for context in list(self.contexts.values()):
                if context.active_at <= latest and context.feed.is_idle:
                    del self.contexts[context.name]
                    context.feed.end()
        if self.is_closing or self.active_at > latest:
            return False
        if any(not context.feed.is_idle for context in self.alive):
            return False
        await self.fail(
            ApiError(
                f"no message for {self.timeout_s:g} seconds: send a space to keep a context "
                f"open, or set a higher inactivity_timeout",
                code="input_timeout_exceeded",
            )
        )
        return True


def alignment_of(letters: list[Letter]) -> dict[str, Any] | None:
    """Letters in ElevenLabs' format, with times from the first letter."""
    if not letters:
        return None
    start = letters[0].start_ms
    return {
        "chars": [letter.char for letter in letters],
        "charStartTimesMs": [letter.start_ms - start for letter in letters],
        "charDurationsMs": [letter.duration_ms for letter in letters],
    }


async def _serve(websocket: WebSocket, voice: str, *, is_multi: bool) -> None:
    service = service_of(websocket)
    keys = keys_of(websocket.headers, websocket.query_params)
    if service.settings.api_key and keys:
        try:
            check_key(service.settings, websocket.headers, websocket.query_params)
        except ApiError as error:
            await refuse(websocket, service.report(error).response(websocket.url.path))
            return
    async with Socket.open(websocket, "elevenlabs") as socket:
        session = _Session(socket, voice, dict(websocket.query_params), is_multi)
        if service.settings.api_key and not keys and not await _sends_key(socket, session):
            return
        await session.run()


async def _sends_key(socket: Socket, session: _Session) -> bool:
    """Whether the first message has a valid key; otherwise close the connection."""
    try:
        message = await asyncio.wait_for(socket.receive(), KEY_S)
        first = _Input.read(message)
        headers = {"xi-api-key": first.xi_api_key, "authorization": first.authorization}
        given = {name: value for name, value in headers.items() if value is not None}
        check_key(socket.service.settings, given, {})
    except asyncio.TimeoutError:
        await session.fail(ApiError("no key was sent", status=401, code="invalid_api_key"))
    except ApiError as error:
        await session.fail(error)
    else:
        socket.put_back(message)
        return True
    return False


@router.websocket("/v1/text-to-speech/{voice}/stream-input")
async def stream_input(websocket: WebSocket, voice: str) -> None:
    """Speak one text."""
    await _serve(websocket, voice, is_multi=False)


@router.websocket("/v1/text-to-speech/{voice}/multi-stream-input")
async def multi_stream_input(websocket: WebSocket, voice: str) -> None:
    """Speak several texts, each in a context."""
    await _serve(websocket, voice, is_multi=True)
