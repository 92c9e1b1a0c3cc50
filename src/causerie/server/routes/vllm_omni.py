"""Text in as it is written, sound out in binary frames: `WS /v1/audio/speech/stream`.

The messages are those of vLLM-Omni, and `input.cancel` for who is interrupted:

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
    → {"type": "session.close"}                                 closes once all is spoken
    ← {"type": "error", "message": "…", "code": "…", "status": 400, "param": "…"}

Unlike vLLM-Omni's, sentences are spoken as soon as they are whole, `session.config` may be left
out, and pcm is the default. The bytes of an utterance, joined, are one file.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from fastapi import APIRouter, WebSocket
from pydantic import Field

from causerie.audio.formats import Encoder, encoder
from causerie.prompt import Segment
from causerie.reply.async_stream import AsyncStream
from causerie.server.errors import ApiError
from causerie.server.playback import Heard, context
from causerie.server.sockets import Feed, GoneError, Message, Socket, check_key
from causerie.voices import Voice

router = APIRouter()

#: Utterances that may wait for the one that is being spoken.
MAX_WAITING = 32
#: Utterances that are remembered.
MAX_KEPT = 64


class _Config(Message):
    """How the next utterances are spoken."""

    model: str | None = None
    voice: str | None = None
    response_format: str = "pcm"
    sample_rate: int | None = None
    speed: float = 1.0
    seed: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    max_duration_s: float | None = None
    conversation: bool = False


class _Text(Message):
    text: str


class _Cancel(Message):
    played_ms: float | None = Field(default=None, ge=0)
    utterance_index: int | None = Field(default=None, ge=0)


class _Utterance:
    """A text and its sound.

    Attributes:
        sentence: number of the piece that is being spoken; -1 before the first.
        is_open: whether `audio.start` was sent for it, and `audio.done` was not.
        is_done: whether `session.done` was sent.
    """

    def __init__(self, index: int, config: _Config, voice: Voice, max_chars: int) -> None:
        self.index, self.config, self.voice = index, config, voice
        self.feed = Feed(max_chars)
        self.sentence, self.num_bytes = -1, 0
        self.is_open = self.is_done = False
        self.heard: Heard | None = None


class _Session:
    """One connection."""

    def __init__(self, socket: Socket) -> None:
        self.socket, self.service = socket, socket.service
        self.config = _Config()
        self.voice: Voice | None = None
        self.open: _Utterance | None = None  # that text is added to
        self.waiting: deque[_Utterance] = deque()  # the first is being spoken
        self.kept: deque[_Utterance] = deque(maxlen=MAX_KEPT)
        self.num_utterances = 0
        self.is_closing = False
        self.work: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Take messages until the client is gone."""
        while True:
            try:
                message = await self.socket.receive()
                await self.take(message)
            except GoneError:
                raise
            except Exception as error:  # noqa: BLE001 told to the client, and the session goes on
                await self.send_error(error)

    async def take(self, message: dict[str, Any]) -> None:
        """Do what a message asks for."""
        kind = message.get("type")
        if self.is_closing:
            raise ApiError("the session is being closed: open another", code="session_closed")
        if kind == "session.config":
            await self.configure(_Config.read(message))
        elif kind == "input.text":
            text = _Text.read(message).text
            if text:
                (await self.opened()).feed.add(text)
        elif kind == "input.done":
            utterance = await self.opened()
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
                f"type {kind!r} is not known: send session.config, input.text, input.done, "
                f"input.cancel or session.close",
                code="unknown_type",
                param="type",
            )

    async def configure(self, config: _Config) -> None:
        """Take settings for the utterances to come."""
        voice = await asyncio.to_thread(self.service.voice, config.voice, config.model)
        made = _encoder(config, self.service.sample_rate)
        self.config, self.voice = config, voice
        await self.socket.send(
            {
                "type": "session.configured",
                "voice": voice.name,
                "format": config.response_format,
                "sample_rate": made.sample_rate,
                "channels": 1,
                "speed": config.speed,
                "seed": config.seed,
                "temperature": config.temperature,
                "top_k": config.top_k,
                "max_duration_s": config.max_duration_s,
                "conversation": config.conversation,
            }
        )

    async def opened(self) -> _Utterance:
        """The utterance that text is added to."""
        if self.open is None:
            if len(self.waiting) > MAX_WAITING:
                raise ApiError(
                    f"{MAX_WAITING} utterances wait already: send fewer at once",
                    status=429,
                    type="rate_limit_error",
                    code="too_many_utterances",
                )
            if self.voice is None:
                self.voice = await asyncio.to_thread(
                    self.service.voice, self.config.voice, self.config.model
                )
            limit = self.service.settings.max_input_chars
            self.open = _Utterance(self.num_utterances, self.config, self.voice, limit)
            self.num_utterances += 1
            self.waiting.append(self.open)
            if self.work is None or self.work.done():
                self.work = self.socket.start(self.speak())
        return self.open

    async def speak(self) -> None:
        """Speak what waits, one after the other."""
        while self.waiting:
            utterance = self.waiting[0]
            self.kept.append(utterance)
            failed = None
            try:
                await self.sound(utterance)
            except GoneError:
                raise
            except Exception as error:  # noqa: BLE001 told to the client; the session goes on
                failed = error
            utterance.feed.close()
            await self.end_sentence(utterance, failed is not None)
            if failed is not None:
                await self.send_error(failed, utterance)
            await self.send_done(utterance, None if failed is None else "error")
            self.waiting.popleft()

    async def sound(self, utterance: _Utterance) -> None:
        """Send the sound of an utterance, sentence by sentence."""
        if not await utterance.feed.has_text():
            return
        config, said = utterance.config, list[Segment]()
        if config.conversation:
            replies = [other.heard for other in self.kept if other.heard is not None]
            said = await asyncio.to_thread(context, replies, utterance.voice.name)
        made = _encoder(config, self.service.sample_rate)
        speech = await self.service.speak(
            utterance.feed,
            voice=utterance.voice,
            context=said,
            temperature=config.temperature,
            top_k=config.top_k,
            seed=config.seed,
            max_duration_s=config.max_duration_s,
            protocol="native",
        )
        utterance.heard = Heard(speech, utterance.voice.name, config.speed)
        utterance.feed.on_wait = lambda: self.end_sentence(utterance)
        try:
            async for pcm in speech:
                utterance.heard.add(pcm)
                await self.begin_sentence(utterance, speech, made)
                await self.send_sound(utterance, made.encode(pcm))
            await self.send_sound(utterance, made.finish())
        finally:
            await speech.aclose()

    async def begin_sentence(
        self, utterance: _Utterance, speech: AsyncStream, made: Encoder
    ) -> None:
        """Say which sentence is spoken, where it is not the one before."""
        begun = speech.texts
        if len(begun) - 1 == utterance.sentence:
            return
        await self.end_sentence(utterance)
        utterance.sentence, utterance.is_open = len(begun) - 1, True
        await self.socket.send(
            {
                "type": "audio.start",
                "utterance_index": utterance.index,
                "sentence_index": utterance.sentence,
                "sentence_text": begun[-1],
                "format": utterance.config.response_format,
                "sample_rate": made.sample_rate,
                "channels": 1,
            }
        )

    async def send_sound(self, utterance: _Utterance, data: bytes) -> None:
        """Send what there is."""
        if data:
            utterance.num_bytes += len(data)
            await self.socket.send(data)

    async def end_sentence(self, utterance: _Utterance, has_failed: bool = False) -> None:
        """Say that a sentence is over, where one was."""
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

    async def send_done(self, utterance: _Utterance, instead: str | None) -> None:
        """Say that an utterance is over, and what came of it.

        Args:
            instead: what stopped it, where that was not its end.
        """
        speech = utterance.heard.speech if utterance.heard is not None else None
        message: dict[str, Any] = {
            "type": "session.done",
            "utterance_index": utterance.index,
            "total_sentences": utterance.sentence + 1,
            "stopped": instead or (speech.stopped if speech else "end"),
        }
        if speech is not None and utterance.heard is not None:
            message |= {
                "seed": speech.seed,
                "notes": speech.notes,
                "audio_ms": utterance.heard.sent_ms,
                "first_sound_ms": speech.first_sound_ms,
                "rtf": speech.rtf,
            }
        await self.socket.send(message)
        utterance.is_done = True

    async def cancel(self, asked: _Cancel) -> None:
        """Be silent, and tell how much of the utterance was spoken; forget the rest."""
        if self.work is not None:
            self.work.cancel()
            await asyncio.gather(self.work, return_exceptions=True)
            self.work = None
        stopped = [utterance for utterance in self.waiting if not utterance.is_done]
        self.waiting.clear()
        self.open = None
        index = asked.utterance_index
        if index is None:
            index = next((u.index for u in reversed(self.kept) if u.heard is not None), None)
        played = next((u for u in self.kept if u.index == index), None)
        for utterance in stopped:
            await self.end_sentence(utterance)
        answer: dict[str, Any] = {
            "type": "input.cancelled",
            "utterance_index": index,
            "text": "",
            "spoken_ms": 0,
            "sent_ms": 0,
        }
        if played is not None and (heard := played.heard) is not None:
            heard.stop(asked.played_ms)
            answer["text"] = await asyncio.to_thread(lambda: heard.text)
            answer |= {"spoken_ms": heard.spoken_ms, "sent_ms": heard.sent_ms}
        for later in self.kept:
            if index is not None and later.index > index and later.heard is not None:
                later.heard.stop(0)
        await self.socket.send(answer)
        for utterance in stopped:
            await self.send_done(utterance, "cancelled")
        if played is None and asked.utterance_index is not None:
            raise ApiError(
                f"utterance {asked.utterance_index} is not known, or too long ago",
                code="unknown_utterance",
                param="utterance_index",
            )

    async def finish(self) -> None:
        """Close once all is spoken."""
        if self.work is not None:
            await asyncio.wait([self.work])
        await self.socket.close()

    async def send_error(self, error: Exception, utterance: _Utterance | None = None) -> None:
        """Tell what went wrong."""
        told = self.socket.service.report(error)
        message: dict[str, Any] = {
            "type": "error",
            "message": told.message,
            "code": told.code,
            "status": told.status,
            "param": told.param,
        }
        if utterance is not None:
            message["utterance_index"] = utterance.index
        await self.socket.send(message)


def _encoder(config: _Config, sample_rate: int) -> Encoder:
    return encoder(
        config.response_format,
        sample_rate=sample_rate,
        out_rate=config.sample_rate,
        speed=config.speed,
    )


@router.websocket("/v1/audio/speech/stream")
async def speech_stream(websocket: WebSocket) -> None:
    """See this module."""
    if not await check_key(websocket):
        return
    async with Socket.open(websocket, "native") as socket:
        await _Session(socket).run()
