"""Which models there are: the first, those loaded on demand, and OpenAI's names for the first."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request
from pydantic import BaseModel

from causerie.server.errors import ApiError
from causerie.server.state import service_of

router = APIRouter(tags=["models"])

_STARTED = int(time.time())


class Model(BaseModel):
    """As OpenAI's clients read it."""

    id: str
    object: str = "model"
    created: int = _STARTED
    owned_by: str = "causerie"


class Models(BaseModel):
    """A list, as OpenAI's clients read it."""

    object: str = "list"
    data: list[Model]


class AudioModel(BaseModel):
    """As Open WebUI reads it."""

    id: str


class AudioModels(BaseModel):
    """A list, as Open WebUI reads it."""

    models: list[AudioModel]


@router.get("/v1/models")
async def models(request: Request) -> Models:
    """The first model, those of the folder of models, then OpenAI's names for the first."""
    service = service_of(request)
    return Models(data=[Model(id=name) for name in service.model_names()])


@router.get("/v1/models/{model:path}")
async def model(request: Request, model: str) -> Model:
    """One of the list."""
    service = service_of(request)
    if model not in service.model_names():
        raise ApiError(
            f"there is no model {model!r}: see /v1/models",
            status=404,
            code="model_not_found",
            param="model",
        )
    return Model(id=model)


@router.get("/v1/audio/models")
async def audio_models(request: Request) -> AudioModels:
    """The same, for Open WebUI."""
    service = service_of(request)
    return AudioModels(models=[AudioModel(id=name) for name in service.model_names()])
