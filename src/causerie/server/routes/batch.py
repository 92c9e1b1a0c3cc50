"""`POST /v1/audio/speech/batch`: many short texts at once, as vLLM-Omni's servers take them."""

from __future__ import annotations

import asyncio
import base64
import secrets
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from causerie.server import audio_response
from causerie.server.errors import ApiError, ErrorFacts, from_validation
from causerie.server.routes.speech import new_encoder, spoken, usage_of
from causerie.server.schemas import SpeechRequest, check_asked
from causerie.server.service import SpeechService
from causerie.server.state import service_of

router = APIRouter(tags=["speech"])

MAX_ITEMS = 32


class BatchRequest(BaseModel):
    """Items, each as for /v1/audio/speech; other fields hold for those that lack them."""

    model_config = ConfigDict(extra="allow")

    items: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MAX_ITEMS)]


class Usage(BaseModel):
    """See `usage_of`."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class Result(BaseModel):
    """What became of one item."""

    index: int
    status: Literal["success", "error"]
    audio_data: str | None = None
    media_type: str | None = None
    seed: int | None = None
    usage: Usage | None = None
    error: ErrorFacts | None = None


class BatchResponse(BaseModel):
    """What became of all, in order."""

    id: str
    results: list[Result]
    total: int
    succeeded: int
    failed: int


@router.post("/v1/audio/speech/batch", response_model_exclude_none=True)
async def batch(request: Request, asked: BatchRequest) -> BatchResponse:
    """Speak several texts; one that fails does not hinder the others."""
    service = service_of(request)
    service.check_open()
    defaults = asked.model_extra or {}
    room = asyncio.Semaphore(service.settings.max_streams)

    async def one(index: int, item: dict[str, Any]) -> Result:
        async with room:
            try:
                return await _result(service, index, {**defaults, **item})
            except Exception as error:  # noqa: BLE001 it is that item's answer
                told = service.report(error)
                return Result(index=index, status="error", error=ErrorFacts(**told.body()["error"]))

    tasks = [asyncio.create_task(one(index, item)) for index, item in enumerate(asked.items)]
    try:
        results = list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
    succeeded = sum(result.status == "success" for result in results)
    return BatchResponse(
        id=f"batch_{secrets.token_hex(12)}",
        results=results,
        total=len(results),
        succeeded=succeeded,
        failed=len(results) - succeeded,
    )


async def _result(service: SpeechService, index: int, item: dict[str, Any]) -> Result:
    try:
        asked = SpeechRequest.model_validate(item)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False)
        raise from_validation(errors) from None
    check_asked(asked, service)
    if asked.stream_format != "audio":
        raise ApiError("a batch has no events", code="unsupported", param="stream_format")
    said = await spoken(asked, service, "batch")
    data, content_type = audio_response.file_of(
        await audio_response.collect(said),
        lambda num_samples: new_encoder(asked, service, num_samples),
    )
    return Result(
        index=index,
        status="success",
        audio_data=base64.b64encode(data).decode("ascii"),
        media_type=content_type,
        seed=said.seed,
        usage=Usage(**usage_of(said)),
    )
