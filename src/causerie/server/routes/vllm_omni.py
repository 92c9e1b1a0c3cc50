"""Text in as it is written, audio out in binary frames: `WS /v1/audio/speech/stream`.

The messages are those of vLLM-Omni, with `input.cancel` for interruptions:

    → {"type": "session.config", "voice": "heart", "response_format": "pcm", …}     at any time
    ← {"type": "session.configured", "voice": "heart", "format": "pcm", "sample_rate": 24000, …}
    → {"type": "input.text", "text": "Hello. How "}                           any part of a text
    ← {"type": "audio.start", "utterance_index": 0, "sentence_index": 0, "sentence_text": "Hello.",
       "format": "pcm", "sample_rate": 24000, "channels": 1}
    ← bytes …
    ← {"type": "audio.done", "utterance_index": 0, "sentence_index": 0, "total_bytes": 46080,
       "error": false}
    → {"type": "input.done"}                                  ends the utterance, not the session
    ← {"type": "session.done", "utterance_index": 0, "total_sentences": 1, "stopped": "end", …}
    → {"type": "input.cancel", "played_ms": 700}                                      at any time
    ← {"type": "input.cancelled", "utterance_index": 0, "text": "Hello.", "spoken_ms": 700,
       "sent_ms": 960}
    → {"type": "session.close"}                                 closes after everything is spoken
    ← {"type": "error", "message": "…", "code": "…", "status": 400, "param": "…"}

Unlike with vLLM-Omni, sentences are spoken as soon as they are complete, `session.config` is
optional, and pcm is the default. The bytes of an utterance, joined, are one file.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Annotated, Any, Literal

from fastapi import APIRouter, WebSocket
from pydantic import BeforeValidator, Field

from causerie.audio import formats
from causerie.audio.formats import MAX_SPEED, MIN_SPEED, Encoder
from causerie.conversation import Playback
from causerie.prompt import Segment
from causerie.reply.async_stream import AsyncStream
from causerie.server.errors import ApiError
from causerie.server.json_body import Seed
from causerie.server.sockets import Feed, GoneError, Message, Socket, check_key
from causerie.tts import Guard
from causerie.voices import Voice

router = APIRouter()

#: Utterances that may wait for the current one.
MAX_WAITING = 32
#: Past utterances that are kept, as context and for cancellation.
MAX_PAST = 64


class _Config(Message):
    """Settings of the next utterances."""

    model: str | None = None
    voice: str | None = None
    response_format: Annotated[str, BeforeValidator(formats.format_name)] = "pcm"
    sample_rate: int | None = None
    speed: float = Field(default=1.0, ge=MIN_SPEED, le=MAX_SPEED)
    seed: Seed = None
    temperature: float | None = None
    top_k: int | None = None
    max_duration_s: float | None = None
    guard: Guard = "auto"
    verify: bool | None = None
    conversation: bool = False
    lexicon: dict[str, str | dict[str, str]] | None = None
    normalize: Literal["on", "off"] | None = None


class _Text(Message):
    text: str


class _Cancel(Message):
    played_ms: float | None = Field(default=None, ge=0)
    utterance_index: int | None = Field(default=None, ge=0)


class _Utterance:
    """A text and its audio.

    Attributes:
        sentence: index of the sentence that is being spoken; -1 before the first.
        is_open: whether `audio.start` was sent for it, and `audio.done` was not.
        is_done: whether `session.done` was sent.
    """

    def __init__(self, index: int, config: _Config, voice: Voice, max_chars: int) -> None:
        self.index, self.config, self.voice = index, config, voice
        self.feed = Feed(max_chars)
        self.sentence, self.num_bytes = -1, 0
        self.is_open = self.is_done = False
        self.playback: Playback | None = None


class _Session:
    """One connection."""

    def __init__(self, socket: Socket) -> None:
        self.socket, self.service = socket, socket.service
        self.config = _Config()
        self.voice: Voice | None = None
        self.open: _Utterance | None = None  # the one that accepts text
        self.waiting: deque[_Utterance] = deque()  # the first is being spoken
        self.past: deque[_Utterance] = deque(maxlen=MAX_PAST)
        self.memory = self.service.tts.conversation()
        self.num_utterances = 0
        self.is_closing = False
        self.work: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Handle messages until the client disconnects."""
        while True:
            try:
                message = await self.socket.receive()
                await self.handle(message)
            except GoneError:
                raise
            except Exception as error:  # noqa: BLE001 sent to the client; the session goes on
                await self.send_error(error)

    async def handle(self, message: dict[str, Any]) -> None:
        """Handle a message."""
        kind = message.get("type")
        if self.is_closing:
            raise ApiError("the session is closing: open another", code="session_closed")
        if kind == "session.config":
            await self.configure(_Config.read(message))
        elif kind == "input.text":
            text = _Text.read(message).text
            if text:
                (await self.open_utterance()).feed.add(text)
        elif kind == "input.done":
            utterance = await self.open_utterance()
            utterance.feed.end()
            self.open = None
        elif kind == "input.cancel":
            await self.cancel(_Cancel.read(message))
        elif kind == "session.close":
            self.is_closing = True
            if self.open is not None:
                self.open.feed.end()
            self.socket.start(self.finish())
        else:
            raise ApiError(
                f"type {kind!r} is unknown: send session.config, input.text, input.done, "
                f"input.cancel or session.close",
                code="unknown_type",
                param="type",
            )

    async def configure(self, config: _Config) -> None:
        """Change the settings of the next utterances."""
        voice = await self.service.find_voice(config.voice, self.service.folder_model(config.model))
        encoder = _encoder(config, self.service.sample_rate)
        self.config, self.voice = config, voice
        await self.socket.send(
            {
                "type": "session.configured",
                "voice": voice.name,
                "format": config.response_format,
                "sample_rate": encoder.sample_rate,
                "channels": 1,
                "speed": config.speed,
                "seed": config.seed,
                "temperature": config.temperature,
                "top_k": config.top_k,
                "max_duration_s": config.max_duration_s,
                "guard": config.guard,
                "conversation": config.conversation,
            }
        )

    async def open_utterance(self) -> _Utterance:
        """The utterance that accepts text, a new one if there is none."""
        if self.open is None:
            if len(self.waiting) > MAX_WAITING:
                raise ApiError(
                    f"{MAX_WAITING} utterances are waiting: send fewer at once",
                    status=429,
                    type="rate_limit_error",
                    code="too_many_utterances",
                )
            if self.voice is None:
                self.voice = await self.service.find_voice(
                    self.config.voice, self.service.folder_model(self.config.model)
                )
            limit = self.service.settings.max_input_chars
            self.open = _Utterance(self.num_utterances, self.config, self.voice, limit)
            self.num_utterances += 1
            self.waiting.append(self.open)
            if self.work is None or self.work.done():
                self.work = self.socket.start(self.speak())
        return self.open

    async def speak(self) -> None:
        """Speak the waiting utterances in turn."""
        while self.waiting:
            utterance = self.waiting[0]
            self.past.append(utterance)
            failed = None
            try:
                await self.send_reply(utterance)
            except GoneError:
                raise
            except Exception as error:  # noqa: BLE001 sent to the client; the session goes on
                failed = error
            utterance.feed.close()
            await self.end_sentence(utterance, failed is not None)
            if failed is not None:
                await self.send_error(failed, utterance)
            await self.send_done(utterance, None if failed is None else "error")
            self.waiting.popleft()

    async def send_reply(self, utterance: _Utterance) -> None:
        """Send the audio of an utterance, sentence by sentence."""
        if not await utterance.feed.has_text():
            return
        config, context, notes = utterance.config, list[Segment](), list[str]()
        if config.conversation:
            voice = utterance.voice
            context, notes = await asyncio.to_thread(self.memory.next_context, voice)
        encoder = _encoder(config, self.service.sample_rate)
        reply = await self.service.speak(
            utterance.feed,
            voice=utterance.voice,
            context=context,
            temperature=config.temperature,
            top_k=config.top_k,
            seed=config.seed,
            max_duration_s=config.max_duration_s,
            guard=config.guard,
            verify=config.verify,
            speed=config.speed,
            lexicon=config.lexicon,
            normalize=config.normalize,
            protocol="vllm_omni",
        )
        reply.notes += notes
        utterance.playback = self.memory.add(Playback(reply, utterance.voice.name))
        utterance.feed.on_wait = lambda: self.end_sentence(utterance)
        utterance.feed.wait_spoken = reply.spoken
        try:
            async for pcm in reply:
                utterance.playback.add(pcm)
                await self.begin_sentence(utterance, reply, encoder)
                await self.send_audio(utterance, encoder.encode(pcm))
            await self.send_audio(utterance, encoder.finish())
        finally:
            await reply.aclose()

    async def begin_sentence(
        self, utterance: _Utterance, reply: AsyncStream, encoder: Encoder
    ) -> None:
        """Report the sentence that is being spoken, if it is a new one."""
        texts = reply.texts or [reply.silent_text or ""]
        if len(texts) - 1 == utterance.sentence:
            return
        await self.end_sentence(utterance)
        utterance.sentence, utterance.is_open = len(texts) - 1, True
        await self.socket.send(
            {
                "type": "audio.start",
                "utterance_index": utterance.index,
                "sentence_index": utterance.sentence,
                "sentence_text": texts[-1],
                "format": utterance.config.response_format,
                "sample_rate": encoder.sample_rate,
                "channels": 1,
            }
        )

    async def send_audio(self, utterance: _Utterance, data: bytes) -> None:
        """Send encoded audio, if there is any."""
        if data:
            utterance.num_bytes += len(data)
            await self.socket.send(data)

    async def end_sentence(self, utterance: _Utterance, has_failed: bool = False) -> None:
        """Report the end of the sentence that is being spoken, if there is one."""
        if utterance.is_open:
            utterance.is_open = False
            num_bytes, utterance.num_bytes = utterance.num_bytes, 0
            await self.socket.send(
                {
                    "type": "audio.done",
                    "utterance_index": utterance.index,
                    "sentence_index": utterance.sentence,
                    "total_bytes": num_bytes,
                    "error": has_failed,
                }
            )

    async def send_done(self, utterance: _Utterance, reason: str | None) -> None:
        """Report the end of an utterance.

        Args:
            reason: why it ended; None: see the reply.
        """
        reply = utterance.playback.reply if utterance.playback is not None else None
        message: dict[str, Any] = {
            "type": "session.done",
            "utterance_index": utterance.index,
            "total_sentences": utterance.sentence + 1,
            "stopped": reason or (reply.stopped if reply else "end"),
        }
        if reply is not None and utterance.playback is not None:
            message |= {
                "seed": reply.seed,
                "notes": reply.notes,
                "audio_ms": utterance.playback.sent_ms,
                "first_sound_ms": reply.first_sound_ms,
                "rtf": reply.rtf,
            }
        await self.socket.send(message)
        utterance.is_done = True

    async def cancel(self, message: _Cancel) -> None:
        """Cancel all utterances, and report how much of one of them was spoken."""
        if self.work is not None:
            self.work.cancel()
            await asyncio.gather(self.work, return_exceptions=True)
            self.work = None
        stopped = [utterance for utterance in self.waiting if not utterance.is_done]
        self.waiting.clear()
        self.open = None
        index = message.utterance_index
        if index is None:
            index = next((u.index for u in reversed(self.past) if u.playback is not None), None)
        played = next((u for u in self.past if u.index == index), None)
        for utterance in stopped:
            await self.end_sentence(utterance)
        answer: dict[str, Any] = {
            "type": "input.cancelled",
            "utterance_index": index,
            "text": "",
            "spoken_ms": 0,
            "sent_ms": 0,
        }
        if played is not None and (playback := played.playback) is not None:
            playback.stop(message.played_ms)
            answer["text"] = await asyncio.to_thread(lambda: playback.text)
            answer |= {"spoken_ms": playback.played_ms, "sent_ms": playback.sent_ms}
        for later in self.past:
            if index is not None and later.index > index and later.playback is not None:
                later.playback.stop(0)
        await self.socket.send(answer)
        for utterance in stopped:
            await self.send_done(utterance, "cancelled")
        if played is None and message.utterance_index is not None:
            raise ApiError(
                f"utterance {message.utterance_index} is unknown, or too old",
                code="unknown_utterance",
                param="utterance_index",
            )

    async def finish(self) -> None:
        """Close the connection after everything is spoken."""
        if self.work is not None:
            await asyncio.wait([self.work])
        await self.socket.close()

    async def send_error(self, error: Exception, utterance: _Utterance | None = None) -> None:
        """Send an error."""
        api_error = self.socket.service.report(error)
        message: dict[str, Any] = {
            "type": "error",
            "message": api_error.message,
            "code": api_error.code,
            "status": api_error.status,
            "param": api_error.param,
        }
        if utterance is not None:
            message["utterance_index"] = utterance.index
        await self.socket.send(message)


def _encoder(config: _Config, sample_rate: int) -> Encoder:
    return formats.encoder(
        config.response_format,
        sample_rate=sample_rate,
        out_rate=config.sample_rate,
    )


@router.websocket("/v1/audio/speech/stream")
async def speech_stream(websocket: WebSocket) -> None:
    """Serve a session, see this module."""
    if not await check_key(websocket):
        return
    async with Socket.open(websocket, "vllm_omni") as socket:
        await _Session(socket).run()
