"""ElevenLabs' protocol without a WebSocket: a whole text, spoken; and the list of voices.

The sound comes as a file, or, `with-timestamps`, in base64 beside the times of the letters:

    {"audio_base64": "…", "alignment": {"characters": ["H", …], "character_start_times_seconds":
     [0.0, …], "character_end_times_seconds": [0.07, …]}, "normalized_alignment": …}

in one such object, or, streamed, in one a line. Times are those of `causerie.server.alignment`, an
estimate, and count from the beginning of all sound; all characters of the text are there, once.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from causerie.audio.formats import Encoder
from causerie.model.sampling import MAX_SEED
from causerie.reply.async_stream import AsyncStream
from causerie.server import audio_response
from causerie.server.alignment import Alignment, Letter, Original
from causerie.server.routes.elevenlabs import DEFAULT_FORMAT, VoiceSettings, new_encoder
from causerie.server.routes.speech import SOUND_RESPONSES
from causerie.server.state import service_of

router = APIRouter(tags=["elevenlabs"])


class SpeechBody(BaseModel):
    """A text, as ElevenLabs' clients send it; what else they send does nothing here."""

    text: str
    model_id: str | None = None
    voice_settings: VoiceSettings | None = None
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)

    @property
    def speed(self) -> float:
        """At which it is played."""
        return (self.voice_settings and self.voice_settings.speed) or 1.0


class LetterTimes(BaseModel):
    """When each character is spoken."""

    characters: list[str]
    character_start_times_seconds: list[float]
    character_end_times_seconds: list[float]


class TimedSound(BaseModel):
    """Sound, and the times of its letters."""

    audio_base64: str
    alignment: LetterTimes | None
    normalized_alignment: LetterTimes | None


#: Media type of one JSON object a line.
LINES = "application/x-ndjson"


class ListedVoice(BaseModel):
    """A voice, as ElevenLabs' clients read it."""

    voice_id: str
    name: str
    category: str
    description: str
    preview_url: str


class ListedVoices(BaseModel):
    """All voices, as ElevenLabs' clients read them."""

    voices: list[ListedVoice]


@router.post("/v1/text-to-speech/{voice}", response_class=Response, responses=SOUND_RESPONSES)
@router.post(
    "/v1/text-to-speech/{voice}/stream", response_class=Response, responses=SOUND_RESPONSES
)
async def text_to_speech(
    request: Request, voice: str, asked: SpeechBody, output_format: str = DEFAULT_FORMAT
) -> Response:
    """Speak a text. The sound comes while it is being made, by either path."""
    made, said = await _begun(request, voice, asked, output_format)
    return await audio_response.stream(request, said, made, headers={"x-seed": str(said.seed)})


@router.post("/v1/text-to-speech/{voice}/with-timestamps", response_model=TimedSound)
async def text_with_timestamps(
    request: Request, voice: str, asked: SpeechBody, output_format: str = DEFAULT_FORMAT
) -> Response:
    """Speak a text, and tell when each of its letters is spoken, once all of it is."""
    _, said = await _begun(request, voice, asked, output_format)
    timed = _Timed(said, asked)
    return await audio_response.whole(
        request,
        timed,
        lambda num: new_encoder(output_format, said.sample_rate, asked.speed, num_samples=num),
        headers={"x-seed": str(said.seed)},
        wrap=timed.object,
        content_type="application/json",
    )


@router.post(
    "/v1/text-to-speech/{voice}/stream/with-timestamps",
    response_class=Response,
    responses={
        200: {
            "description": "Objects as of `with-timestamps`, one a line, while they are made.",
            "content": {LINES: {"schema": {"type": "string"}}},
        }
    },
)
async def stream_with_timestamps(
    request: Request, voice: str, asked: SpeechBody, output_format: str = DEFAULT_FORMAT
) -> Response:
    """Speak a text, and tell when each of its letters is spoken, while it is being made."""
    made, said = await _begun(request, voice, asked, output_format)
    timed = _Timed(said, asked)
    return await audio_response.stream(
        request,
        timed,
        made,
        headers={"x-seed": str(said.seed)},
        wrap=timed.lines,
        content_type=LINES,
    )


async def _begun(
    request: Request, voice: str, asked: SpeechBody, output_format: str
) -> tuple[Encoder, AsyncStream]:
    """Speech, and what encodes it as it comes; what is wrong with text or format is told first."""
    service = service_of(request)
    service.check_text(asked.text)
    made = new_encoder(output_format, service.sample_rate, asked.speed)
    said = await service.speak(asked.text, voice=voice, seed=asked.seed, protocol="elevenlabs")
    return made, said


class _Timed:
    """Speech whose letters are gathered as it passes."""

    def __init__(self, said: AsyncStream, asked: SpeechBody) -> None:
        self._said = said
        self._alignment, self._original = Alignment(asked.speed), Original(asked.text)
        self._letters: list[Letter] = []  # not told yet

    async def __aiter__(self) -> AsyncIterator[NDArray[np.float32]]:
        async for pcm in self._said:
            begun, seconds = self._said.texts, len(pcm) / self._said.sample_rate
            spoken = self._alignment.heard(len(begun) - 1, begun[-1], seconds)
            self._letters += self._original.of(spoken)
            yield pcm
        self._letters += self._original.of(self._alignment.rest()) + self._original.rest()

    async def aclose(self) -> None:
        """Make no more of it."""
        await self._said.aclose()

    def object(self, data: bytes) -> bytes:
        """The JSON of sound, with the letters that were not told yet."""
        times = _times(self._letters)
        self._letters = []
        audio = base64.b64encode(data).decode("ascii")
        timed = TimedSound(audio_base64=audio, alignment=times, normalized_alignment=times)
        return timed.model_dump_json().encode()

    async def lines(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Each chunk of a file as an object on a line."""
        async for chunk in chunks:
            yield self.object(chunk) + b"\n"
        if self._letters:
            yield self.object(b"") + b"\n"


def _times(letters: list[Letter]) -> LetterTimes | None:
    """Letters as ElevenLabs writes them over HTTP."""
    if not letters:
        return None
    return LetterTimes(
        characters=[letter.char for letter in letters],
        character_start_times_seconds=[letter.start_ms / 1000 for letter in letters],
        character_end_times_seconds=[
            (letter.start_ms + letter.duration_ms) / 1000 for letter in letters
        ],
    )


@router.get("/v1/voices")
async def voices(request: Request) -> ListedVoices:
    """All voices, for ElevenLabs' clients; /v1/audio/voices tells more."""
    service = service_of(request)
    known = await asyncio.to_thread(service.voices)
    return ListedVoices(
        voices=[
            ListedVoice(
                voice_id=info.id,
                name=info.name,
                category="premade" if info.origin == "builtin" else "cloned",
                description=info.description,
                preview_url=info.preview_url,
            )
            for info in known
        ]
    )
