"""Errors as the server answers them: in OpenAI's shape, with the status of `causerie.statuses`.

    {"error": {"message": "…", "type": "invalid_request_error", "param": "voice", "code": "…"}}

ElevenLabs' routes add ElevenLabs' shape:

    {"error": …, "detail": {"status": "voice_not_found", "message": "…"}}

WebSockets and Wyoming put the fields of an `ApiError` into messages of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from causerie.errors import CancelledError, StoreError
from causerie.statuses import status_of

#: Prefixes of ElevenLabs' routes.
ELEVENLABS = (
    "/v1/text-to-speech/",
    "/v1/text-to-dialogue",
    "/v1/voices",
    "/v2/voices",
    "/v1/user",
)
#: Characters of a message: it may repeat a value that a client sent.
MAX_MESSAGE_CHARS = 1_000
#: OpenAI's types of errors for statuses that may succeed on a retry.
_TYPES = {429: "rate_limit_error", 502: "server_error", 503: "server_error"}


class ApiError(Exception):
    """An error as a client sees it.

    Attributes:
        message: what happened, with the value, and what to do.
        status: of HTTP.
        type: OpenAI's family of errors.
        code: identifies the error to programs.
        param: the field of the request that caused it.
        headers: to send along.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if len(message) > MAX_MESSAGE_CHARS:
            message = message[:MAX_MESSAGE_CHARS] + "…"
        super().__init__(message)
        self.message, self.status, self.type = message, status, type
        self.code, self.param = code, param
        self.headers = dict(headers or {})

    def body(self, path: str = "") -> dict[str, Any]:
        """The error as JSON.

        Args:
            path: of the request.
        """
        body: dict[str, Any] = {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }
        if path.startswith(ELEVENLABS):
            body["detail"] = {"status": self.code, "message": self.message}
        return body

    def response(self, path: str = "") -> JSONResponse:
        """The error as the response to a request for a path."""
        return JSONResponse(self.body(path), self.status, self.headers)


def retry_after(seconds: float) -> dict[str, str]:
    """The headers that say when to retry: the standard one, and that of OpenAI's clients."""
    return {
        "Retry-After": str(max(1, math.ceil(seconds))),
        "retry-after-ms": str(max(1, round(1000 * seconds))),
    }


def shutting_down() -> ApiError:
    """The error for new speech during a shutdown."""
    return ApiError(
        "the server is shutting down: try again in a moment",
        status=503,
        type="server_error",
        code="shutting_down",
        headers=retry_after(5),
    )


def unknown_model(name: str) -> ApiError:
    """The error for a model that the server does not have."""
    return ApiError(
        f"there is no model {name!r}: GET /v1/models lists all",
        status=404,
        code="model_not_found",
        param="model",
    )


def to_api_error(error: BaseException) -> ApiError:
    """The error as a client sees it. The message of an internal error is withheld."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, CancelledError):
        return shutting_down()
    status, code, param = status_of(error)
    if status == 500:
        return ApiError(
            "the server failed at this request; its log says why, under the request's id",
            status=500,
            type="server_error",
            code=code,
        )
    headers = retry_after(2) if status in _TYPES else {}
    if isinstance(error, StoreError):  # an immediate retry would fail as well
        headers = {**retry_after(5), "x-should-retry": "false"}
    return ApiError(
        str(error),
        status=status,
        type=_TYPES.get(status, "invalid_request_error"),
        code=code,
        param=param,
        headers=headers,
    )


def from_http_exception(
    error: HTTPException, method: str, path: str, *, similar: str | None = None
) -> ApiError:
    """Starlette's error for an unknown route, a wrong method or a body that is too large.

    Args:
        similar: a path that exists, if this one does not.
    """
    codes = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
    message = str(error.detail)
    if error.status_code == 404 and message == "Not Found":
        message = f"there is nothing at {path}: see /docs"
        if similar is not None:
            message = f"there is nothing at {path}: did you mean {similar}?"
    if error.status_code == 405:
        message = f"{path} does not support {method}: see /docs"
    return ApiError(
        message,
        status=error.status_code,
        code=codes.get(error.status_code, "invalid_request"),
        headers=error.headers,
    )


def from_validation(errors: Sequence[Any]) -> ApiError:
    """The first of pydantic's errors: 400, where FastAPI answers 422."""
    first = errors[0]
    kind, where = str(first["type"]), list(first["loc"])
    if where and where[0] in ("body", "query", "path", "header"):
        where = where[1:]
    if kind == "json_invalid":
        return ApiError(f"the body is not JSON: {first['ctx']['error']}", code="invalid_json")
    param = ".".join(str(part) for part in where) or None
    message = str(first["msg"]).removeprefix("Value error, ")
    if kind == "model_attributes_type" and param is None:
        message = "the body must be a JSON object, sent as content-type: application/json"
    if kind == "missing" and param is None:
        message = "the body is missing: send JSON, as content-type: application/json"
    code = "missing_required_parameter" if kind == "missing" else "invalid_value"
    return ApiError(f"{param}: {message}" if param else message, code=code, param=param)


class ErrorFacts(BaseModel):
    """An error in OpenAI's shape."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorDetail(BaseModel):
    """An error in ElevenLabs' shape."""

    status: str | None
    message: str


class ErrorBody(BaseModel):
    """The body of every error."""

    error: ErrorFacts
    detail: ErrorDetail | None = Field(None, description="Only on ElevenLabs' routes.")


_DESCRIPTIONS = {
    400: "A field is missing, invalid or too long.",
    401: "The key is missing or wrong.",
    403: "Not allowed.",
    404: "Not found.",
    405: "Method not allowed.",
    413: "Too large.",
    415: "Unsupported media type.",
    429: "Too many requests wait; see Retry-After.",
    500: "Internal error.",
    503: "Temporarily unavailable; see Retry-After.",
}
#: The error responses of every route, for the OpenAPI schema.
RESPONSES: dict[int | str, dict[str, Any]] = {
    **{status: {"model": ErrorBody, "description": text} for status, text in _DESCRIPTIONS.items()},
    "4XX": {"model": ErrorBody, "description": "Any other client error."},
}
