"""ElevenLabs' HTTP routes: speech for a whole text or dialogue, with or without timestamps.

The audio is a file or, `with-timestamps`, base64 beside the times of the characters:

    {"audio_base64": "…", "alignment": {"characters": ["H", …], "character_start_times_seconds":
     [0.0, …], "character_end_times_seconds": [0.07, …]}, "normalized_alignment": …}

as one such object or, streamed, as one per line. The times are those of
`causerie.server.alignment`: found in the complete audio, or estimated while it is streamed. They
count from the start of the audio. Every character of the text occurs once.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from causerie.audio.formats import Encoder
from causerie.reply.async_stream import AsyncStream
from causerie.server import audio_response
from causerie.server.alignment import Alignment, ExactAlignment, Letter, OriginalText
from causerie.server.dialogue import PAUSE_S, DialogueReply
from causerie.server.dictionaries import Locator
from causerie.server.json_body import JsonBody, Seed
from causerie.server.routes.elevenlabs import (
    DEFAULT_FORMAT,
    VoiceSettings,
    new_encoder,
    normalize_of,
)
from causerie.server.routes.speech import AUDIO_RESPONSES
from causerie.server.state import service_of
from causerie.server.threads import in_store
from causerie.text.ssml import MAX_LINES, Line

router = APIRouter(tags=["elevenlabs"])


class SpeechBody(JsonBody):
    """A text and its options. Other fields of ElevenLabs' are ignored."""

    text: str
    model_id: str | None = None
    voice_settings: VoiceSettings | None = None
    seed: Seed = None
    apply_text_normalization: Literal["auto", "on", "off"] = "auto"
    pronunciation_dictionary_locators: Annotated[list[Locator], Field(max_length=3)] = Field(
        default_factory=list
    )

    @property
    def speed(self) -> float:
        """The speed of the speech."""
        return (self.voice_settings and self.voice_settings.speed) or 1.0


class DialogueInput(JsonBody):
    """A turn of a dialogue."""

    text: str
    voice_id: str


class DialogueBody(JsonBody):
    """The turns of a dialogue and their options. Other fields of ElevenLabs' are ignored."""

    inputs: Annotated[list[DialogueInput], Field(min_length=1, max_length=MAX_LINES)]
    model_id: str | None = None
    seed: Seed = None
    apply_text_normalization: Literal["auto", "on", "off"] = "auto"
    pronunciation_dictionary_locators: Annotated[list[Locator], Field(max_length=3)] = Field(
        default_factory=list
    )


class LetterTimes(BaseModel):
    """The characters and when each is spoken."""

    characters: list[str]
    character_start_times_seconds: list[float]
    character_end_times_seconds: list[float]


class TimedAudio(BaseModel):
    """Audio, and the times of its characters."""

    audio_base64: str
    alignment: LetterTimes | None
    normalized_alignment: LetterTimes | None


#: Media type of one JSON object per line.
LINES = "application/x-ndjson"


@router.post("/v1/text-to-speech/{voice}", response_class=Response, responses=AUDIO_RESPONSES)
@router.post(
    "/v1/text-to-speech/{voice}/stream", response_class=Response, responses=AUDIO_RESPONSES
)
async def text_to_speech(
    request: Request, voice: str, body: SpeechBody, output_format: str = DEFAULT_FORMAT
) -> Response:
    """Speak a text. Both paths send the audio while it is generated."""
    encoder, reply = await _begin(request, voice, body, output_format)
    return await _stream(request, reply, encoder, output_format)


async def _stream(
    request: Request, reply: AsyncStream | DialogueReply, encoder: Encoder, output_format: str
) -> Response:
    """The response that streams a reply as a file."""
    return await audio_response.stream(
        request,
        reply,
        encoder,
        new_encoder=partial(new_encoder, output_format, service_of(request).sample_rate),
        reply=reply,
    )


@router.post("/v1/text-to-speech/{voice}/with-timestamps", response_model=TimedAudio)
async def text_with_timestamps(
    request: Request, voice: str, body: SpeechBody, output_format: str = DEFAULT_FORMAT
) -> Response:
    """Speak a text, and answer with the complete audio and the times of all characters."""
    _, reply = await _begin(request, voice, body, output_format, is_whole=True)
    timed = _TimedReply(reply, body, is_live=False)
    return await audio_response.complete(
        request,
        timed,
        lambda num: new_encoder(output_format, reply.sample_rate, num_samples=num),
        reply=reply,
        wrap=timed.object,
        content_type="application/json",
    )


@router.post(
    "/v1/text-to-speech/{voice}/stream/with-timestamps",
    response_class=Response,
    responses={
        200: {
            "description": "Objects as of `with-timestamps`, one per line, as they are made.",
            "content": {LINES: {"schema": {"type": "string"}}},
        }
    },
)
async def stream_with_timestamps(
    request: Request, voice: str, body: SpeechBody, output_format: str = DEFAULT_FORMAT
) -> Response:
    """Speak a text, and stream the audio with the times of its characters."""
    encoder, reply = await _begin(request, voice, body, output_format)
    timed = _TimedReply(reply, body, is_live=True)
    return await audio_response.stream(
        request,
        timed,
        encoder,
        new_encoder=partial(new_encoder, output_format, reply.sample_rate),
        reply=reply,
        wrap=timed.lines,
        content_type=LINES,
    )


@router.post("/v1/text-to-dialogue", response_class=Response, responses=AUDIO_RESPONSES)
@router.post("/v1/text-to-dialogue/stream", response_class=Response, responses=AUDIO_RESPONSES)
async def text_to_dialogue(
    request: Request, body: DialogueBody, output_format: str = DEFAULT_FORMAT
) -> Response:
    """Speak a conversation. Both paths send the audio while it is generated."""
    service = service_of(request)
    service.texts.check_turns([turn.text for turn in body.inputs])
    encoder = new_encoder(output_format, service.sample_rate)
    lexicon = await in_store(service.dictionaries.lexicon, body.pronunciation_dictionary_locators)
    reply = DialogueReply(
        service,
        [
            Line(voice=turn.voice_id, text=turn.text, pause_s=PAUSE_S if number else 0.0)
            for number, turn in enumerate(body.inputs)
        ],
        voice=None,
        sampling={
            "model": service.folder_model(body.model_id),
            "seed": body.seed,
            "lexicon": lexicon,
            "normalize": normalize_of(body.apply_text_normalization),
        },
        protocol="elevenlabs",
    )
    await reply.begin()
    return await _stream(request, reply, encoder, output_format)


async def _begin(
    request: Request, voice: str, body: SpeechBody, output_format: str, *, is_whole: bool = False
) -> tuple[Encoder, AsyncStream]:
    """A reply and the encoder of a stream; errors of text and format are raised before speaking."""
    service = service_of(request)
    text = service.texts.plain(body.text)
    encoder = new_encoder(output_format, service.sample_rate)
    lexicon = await in_store(service.dictionaries.lexicon, body.pronunciation_dictionary_locators)
    reply = await service.speak(
        text,
        voice=voice,
        model=service.folder_model(body.model_id),
        seed=body.seed,
        speed=body.speed,
        lexicon=lexicon,
        normalize=normalize_of(body.apply_text_normalization),
        is_whole=is_whole,
        protocol="elevenlabs",
    )
    return encoder, reply


class _TimedReply:
    """A reply whose letters are collected while it is streamed.

    Args:
        is_live: letters are sent while their piece is being spoken, so their times are estimates.
    """

    def __init__(self, reply: AsyncStream, body: SpeechBody, *, is_live: bool) -> None:
        self._reply, self._original = reply, OriginalText(body.text)
        self._alignment = Alignment(body.speed) if is_live else ExactAlignment(reply.sample_rate)
        self._letters: list[Letter] = []  # not sent yet

    async def __aiter__(self) -> AsyncIterator[NDArray[np.float32]]:
        async for pcm in self._reply:
            letters = await asyncio.to_thread(self._alignment.follow, self._reply, pcm)
            self._letters += self._original.align(letters)
            yield pcm
        letters = await asyncio.to_thread(self._alignment.rest)
        self._letters += self._original.align(letters) + self._original.rest()

    async def aclose(self) -> None:
        """Stop generating."""
        await self._reply.aclose()

    def object(self, data: bytes) -> bytes:
        """A JSON object of encoded audio, with the letters that were not sent yet."""
        times = _times(self._letters)
        self._letters = []
        audio = base64.b64encode(data).decode("ascii")
        timed = TimedAudio(audio_base64=audio, alignment=times, normalized_alignment=times)
        return timed.model_dump_json().encode()

    async def lines(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Each chunk of a file as an object on a line."""
        async for chunk in chunks:
            yield self.object(chunk) + b"\n"
        if self._letters:
            yield self.object(b"") + b"\n"


def _times(letters: list[Letter]) -> LetterTimes | None:
    """Letters in ElevenLabs' HTTP format."""
    if not letters:
        return None
    return LetterTimes(
        characters=[letter.char for letter in letters],
        character_start_times_seconds=[letter.start_ms / 1000 for letter in letters],
        character_end_times_seconds=[
            (letter.start_ms + letter.duration_ms) / 1000 for letter in letters
        ],
    )
