"""The models: the first, those loaded on demand, and OpenAI's names for the first.

ElevenLabs' clients read the same address in a format of their own. They send `xi-api-key`, which
OpenAI's never do, and their SDKs name themselves.
"""

from __future__ import annotations

import time

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from causerie.server.errors import unknown_model
from causerie.server.models import ELEVENLABS_MODELS, OPENAI_MODELS
from causerie.server.state import service_of

router = APIRouter(tags=["models"])

_STARTED = int(time.time())


class Model(BaseModel):
    """A model, in OpenAI's format, and whether its speech is marked as generated."""

    id: str
    object: str = "model"
    created: int = _STARTED
    owned_by: str = "causerie"
    watermark: bool


class Models(BaseModel):
    """A list of models, in OpenAI's format."""

    object: str = "list"
    data: list[Model]


class Language(BaseModel):
    """A language, in ElevenLabs' format."""

    language_id: str = "en"
    name: str = "English"


class Rates(BaseModel):
    """The price of a character, in ElevenLabs' format."""

    character_cost_multiplier: float = 0.0


class ElevenLabsModel(BaseModel):
    """A model, in ElevenLabs' format."""

    model_id: str
    name: str
    description: str = "Conversational Speech Model"
    can_be_finetuned: bool = False
    can_do_text_to_speech: bool = True
    can_do_voice_conversion: bool = False
    can_use_style: bool = False
    can_use_speaker_boost: bool = False
    serves_pro_voices: bool = False
    requires_alpha_access: bool = False
    token_cost_factor: float = 0.0
    max_characters_request_free_user: int
    max_characters_request_subscribed_user: int
    maximum_text_length_per_request: int
    languages: list[Language] = Field(default_factory=lambda: [Language()])
    model_rates: Rates = Field(default_factory=Rates)
    concurrency_group: str = "standard"


class AudioModel(BaseModel):
    """A model, in Open WebUI's format."""

    id: str


class AudioModels(BaseModel):
    """A list of models, in Open WebUI's format."""

    models: list[AudioModel]


@router.get("/v1/models")
async def models(request: Request) -> Models | list[ElevenLabsModel]:
    """List the first model, those of the folder of models, and OpenAI's names for the first.

    For clients of ElevenLabs, in their format, with ElevenLabs' names for the first model.
    """
    service = service_of(request)
    if _is_elevenlabs(request):
        limit = service.settings.max_input_chars
        ours = [name for name in service.model_names() if name not in OPENAI_MODELS]
        return [
            ElevenLabsModel(
                model_id=name,
                name=name,
                max_characters_request_free_user=limit,
                max_characters_request_subscribed_user=limit,
                maximum_text_length_per_request=limit,
            )
            for name in (*ours, *ELEVENLABS_MODELS)
        ]
    marks = service.tts.watermark is not None
    return Models(data=[Model(id=name, watermark=marks) for name in service.model_names()])


@router.get("/v1/models/{model:path}")
async def model(request: Request, model: str) -> Model:
    """Describe a model."""
    service = service_of(request)
    if not model.strip() or not service.is_model(model):
        raise unknown_model(model)
    return Model(id=model, watermark=service.tts.watermark is not None)


def _is_elevenlabs(request: Request) -> bool:
    headers = request.headers
    if "elevenlabs" in headers.get("x-fern-sdk-name", ""):
        return True
    return "xi-api-key" in headers and not headers.get("authorization", "").startswith("Bearer")


@router.get("/v1/audio/models")
async def audio_models(request: Request) -> AudioModels:
    """List the models for Open WebUI."""
    service = service_of(request)
    return AudioModels(models=[AudioModel(id=name) for name in service.model_names()])
