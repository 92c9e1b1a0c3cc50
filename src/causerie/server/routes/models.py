"""The models: the first, those loaded on demand, and OpenAI's names for the first."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request
from pydantic import BaseModel

from causerie.server.errors import unknown_model
from causerie.server.state import service_of

router = APIRouter(tags=["models"])

_STARTED = int(time.time())


class Model(BaseModel):
    """A model, in OpenAI's format."""

    id: str
    object: str = "model"
    created: int = _STARTED
    owned_by: str = "causerie"


class Models(BaseModel):
    """A list of models, in OpenAI's format."""

    object: str = "list"
    data: list[Model]


class AudioModel(BaseModel):
    """A model, in Open WebUI's format."""

    id: str


class AudioModels(BaseModel):
    """A list of models, in Open WebUI's format."""

    models: list[AudioModel]


@router.get("/v1/models")
async def models(request: Request) -> Models:
    """List the first model, those of the folder of models, and OpenAI's names for the first."""
    service = service_of(request)
    return Models(data=[Model(id=name) for name in service.model_names()])


@router.get("/v1/models/{model:path}")
async def model(request: Request, model: str) -> Model:
    """Describe a model."""
    service = service_of(request)
    if model not in service.model_names():
        raise unknown_model(model)
    return Model(id=model)


@router.get("/v1/audio/models")
async def audio_models(request: Request) -> AudioModels:
    """List the models for Open WebUI."""
    service = service_of(request)
    return AudioModels(models=[AudioModel(id=name) for name in service.model_names()])
