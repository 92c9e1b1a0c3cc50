"""ElevenLabs' protocol without a WebSocket: a whole text, spoken; and the list of voices."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from causerie.model.sampling import MAX_SEED
from causerie.server.routes.elevenlabs import DEFAULT_FORMAT, VoiceSettings, new_encoder
from causerie.server.routes.speech import SOUND_RESPONSES
from causerie.server.sound import stream
from causerie.server.speaker import Speaker

router = APIRouter(tags=["elevenlabs"])


class SpeechBody(BaseModel):
    """A text, as ElevenLabs' clients send it; what else they send does nothing here."""

    text: str
    model_id: str | None = None
    voice_settings: VoiceSettings | None = None
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)


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
    speaker: Speaker = request.app.state.speaker
    speaker.check_text(asked.text)
    speed = asked.voice_settings.speed if asked.voice_settings else None
    made = new_encoder(output_format, speaker.sample_rate, speed or 1.0)
    said = await speaker.speak(asked.text, voice=voice, seed=asked.seed, protocol="elevenlabs")
    return await stream(request, said, made, headers={"x-seed": str(said.seed)})


@router.get("/v1/voices")
async def voices(request: Request) -> ListedVoices:
    """All voices, for ElevenLabs' clients; /v1/audio/voices tells more."""
    speaker: Speaker = request.app.state.speaker
    known = await asyncio.to_thread(speaker.voices)
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
