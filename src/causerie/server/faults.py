"""Answers to what goes wrong in HTTP, all in OpenAI's shape, and how they look in the schema."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from causerie.server.errors import ApiError, to_api_error

log = logging.getLogger("causerie.server")


class ErrorFacts(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorDetail(BaseModel):
    """What went wrong, as ElevenLabs' clients read it."""

    status: str | None
    message: str


class ErrorBody(BaseModel):
    """Every error looks like this."""

    error: ErrorFacts
    detail: ErrorDetail | None = Field(None, description="At ElevenLabs' addresses.")


_TEXTS = {
    400: "A field is missing, wrong or too long.",
    401: "The key is missing or wrong.",
    403: "Not allowed here.",
    404: "There is no such thing.",
    405: "Not by this method.",
    413: "Too large.",
    415: "Not a type that is understood.",
    429: "Too many wait; see Retry-After.",
    500: "A bug of ours.",
    503: "Not now; see Retry-After.",
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    **{status: {"model": ErrorBody, "description": text} for status, text in _TEXTS.items()},
    "4XX": {"model": ErrorBody, "description": "Any other mistake of the request."},
}


def answer(error: ApiError, path: str = "") -> JSONResponse:
    """An error as a response to who asked a path."""
    return JSONResponse(error.body(path), error.status, error.headers)


def on_api_error(request: Request, error: Exception) -> JSONResponse:
    """Of our errors."""
    speaker = getattr(request.app.state, "speaker", None)
    if speaker is not None:
        told = speaker.tell(error)
    else:
        told = to_api_error(error)
        if told.status == 500:
            log.error("request failed", exc_info=error)
    request.scope["state"].setdefault("facts", {})["code"] = told.code
    return answer(told, request.url.path)


def on_invalid(request: Request, error: Exception) -> JSONResponse:
    """Of a body or a query that is not as the schema says: 400, where FastAPI has 422."""
    assert isinstance(error, RequestValidationError)
    return on_api_error(request, invalid(error.errors()))


def on_http_error(request: Request, error: Exception) -> JSONResponse:
    """Of routes and methods that there are not."""
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
    message = str(error.detail)
    if error.status_code == 404 and message == "Not Found":
        message = f"there is nothing at {request.url.path}: see /docs"
    if error.status_code == 405:
        message = f"{request.method} is not for {request.url.path}: see /docs"
    told = ApiError(
        message,
        status=error.status_code,
        code=codes.get(error.status_code, "invalid_request"),
        headers=error.headers,
    )
    return on_api_error(request, told)


def invalid(faults: Sequence[Any]) -> ApiError:
    """The first of pydantic's complaints, and how many more there are."""
    fault = faults[0]
    kind, where = str(fault["type"]), list(fault["loc"])
    if where and where[0] in ("body", "query", "path", "header"):
        where = where[1:]
    if kind == "json_invalid":
        return ApiError(f"the body is no JSON: {fault['ctx']['error']}", code="invalid_json")
    param = ".".join(str(part) for part in where) or None
    message = str(fault["msg"]).removeprefix("Value error, ")
    if kind == "model_attributes_type" and param is None:
        message = "the body must be a JSON object, sent as content-type: application/json"
    if kind == "missing" and param is None:
        message = "the body is missing: send JSON, as content-type: application/json"
    code = "missing_required_parameter" if kind == "missing" else "invalid_value"
    return ApiError(f"{param}: {message}" if param else message, code=code, param=param)
