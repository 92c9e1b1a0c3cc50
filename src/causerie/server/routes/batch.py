"""`POST /v1/audio/speech/batch`: vLLM-Omni's route for many short texts."""

from __future__ import annotations

import asyncio
import base64
import secrets
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from causerie.server import audio_response
from causerie.server.errors import ApiError, ErrorFacts, from_validation
from causerie.server.json_body import JsonBody
from causerie.server.routes.speech import begin_reply, new_encoder, usage_of
from causerie.server.schemas import SpeechRequest, check_options
from causerie.server.service import SpeechService
from causerie.server.state import service_of

router = APIRouter(tags=["speech"])

MAX_ITEMS = 32


class BatchRequest(JsonBody):
    """Items, each as for /v1/audio/speech. Other fields are defaults for all items."""

    model_config = ConfigDict(extra="allow")

    items: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MAX_ITEMS)]


class Usage(BaseModel):
    """See `usage_of`."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class Result(BaseModel):
    """The audio or the error of one item."""

    index: int
    status: Literal["success", "error"]
    audio_data: str | None = None
    media_type: str | None = None
    audio_token: str | None = None
    seed: int | None = None
    notes: list[str] | None = None
    usage: Usage | None = None
    error: ErrorFacts | None = None


class BatchResponse(BaseModel):
    """The results of all items, in order."""

    id: str
    results: list[Result]
    total: int
    succeeded: int
    failed: int


@router.post("/v1/audio/speech/batch", response_model_exclude_none=True)
async def batch(request: Request, body: BatchRequest) -> BatchResponse:
    """Speak several texts. An item that fails does not affect the others."""
    service = service_of(request)
    service.check_open()
    defaults = body.model_extra or {}
    slots = asyncio.Semaphore(service.settings.max_streams)

    async def one(index: int, item: dict[str, Any]) -> Result:
        async with slots:
            try:
                given = {name: value for name, value in item.items() if value is not None}
                return await _result(service, index, {**defaults, **given})
            except Exception as error:  # noqa: BLE001 it is the result of this item
                facts = ErrorFacts(**service.report(error).body()["error"])
                return Result(index=index, status="error", error=facts)

    tasks = [asyncio.create_task(one(index, item)) for index, item in enumerate(body.items)]
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
        body = SpeechRequest.model_validate(item)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False)
        raise from_validation(errors) from None
    check_options(body, service)
    if body.stream_format != "audio":
        raise ApiError(
            "stream_format must be audio in a batch", code="unsupported", param="stream_format"
        )
    reply = await begin_reply(body.model_copy(update={"stream": False}), service, "batch")
    receipt = service.own_speech.begin()
    data, content_type = audio_response.encode_file(
        await audio_response.collect(reply),
        lambda num: receipt.watch(service.signed(new_encoder(body, service, num))),
    )
    return Result(
        index=index,
        status="success",
        audio_data=base64.b64encode(data).decode("ascii"),
        media_type=content_type,
        audio_token=receipt.token,
        seed=reply.seed,
        notes=reply.notes or None,
        usage=Usage(**usage_of(reply)),
    )
