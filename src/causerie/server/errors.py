"""How errors look on the wire: OpenAI's shape, and one table from our errors to it.

    {"error": {"message": "…", "type": "invalid_request_error", "param": "voice", "code": "…"}}

At ElevenLabs' addresses, ElevenLabs' shape is beside it:

    {"error": …, "detail": {"status": "voice_not_found", "message": "…"}}

Every protocol uses the table; WebSockets and Wyoming put what it says into shapes of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from causerie.errors import (
    AudioError,
    CancelledError,
    CheckpointError,
    ConfigError,
    DeadlineError,
    PromptTooLongError,
    QueueFullError,
    TextError,
    UnknownVoiceError,
)
from causerie.server.folder import StoreError

#: Where ElevenLabs' clients ask.
ELEVENLABS = ("/v1/text-to-speech/", "/v1/voices")


class ApiError(Exception):
    """What a client is told.

    Attributes:
        message: what happened, with the value, and what to do.
        status: of HTTP.
        type: the family, in OpenAI's words.
        code: the very error, for programs.
        param: the field that is to blame.
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
        super().__init__(message)
        self.message, self.status, self.type = message, status, type
        self.code, self.param = code, param
        self.headers = dict(headers or {})

    def body(self, path: str = "") -> dict[str, Any]:
        """The JSON of it.

        Args:
            path: that was asked.
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


def retry_after(seconds: float) -> dict[str, str]:
    """The headers that say when to come again: for everybody, and for OpenAI's clients."""
    return {
        "Retry-After": str(max(1, math.ceil(seconds))),
        "retry-after-ms": str(max(1, round(1000 * seconds))),
    }


def shutting_down() -> ApiError:
    """The server ends; another one may take over."""
    return ApiError(
        "the server is shutting down: try again in a moment",
        status=503,
        type="server_error",
        code="shutting_down",
        headers=retry_after(5),
    )


def to_api_error(error: BaseException) -> ApiError:
    """What to tell a client of an error. Of our own bugs it learns only that there is one."""
    if isinstance(error, ApiError):
        return error
    message = str(error)
    if isinstance(error, QueueFullError):
        return ApiError(
            message,
            status=429,
            type="rate_limit_error",
            code="queue_full",
            headers=retry_after(1),
        )
    if isinstance(error, UnknownVoiceError):
        return ApiError(message, code="voice_not_found", param="voice")
    if isinstance(error, PromptTooLongError):
        return ApiError(message, code="context_length_exceeded", param="input")
    if isinstance(error, TextError):
        return ApiError(message, code="invalid_text", param="input")
    if isinstance(error, AudioError):
        return ApiError(message, code="invalid_audio")
    if isinstance(error, ConfigError):
        return ApiError(message, code="invalid_value")
    if isinstance(error, DeadlineError):
        return ApiError(
            message, status=503, type="server_error", code="overloaded", headers=retry_after(2)
        )
    if isinstance(error, CancelledError):
        return shutting_down()
    if isinstance(error, StoreError):
        return ApiError(
            message,
            status=503,
            type="server_error",
            code="storage_failed",
            headers={**retry_after(5), "x-should-retry": "false"},
        )
    code = "checkpoint_error" if isinstance(error, CheckpointError) else "internal_error"
    return ApiError(
        "the server failed at this request; its log says why, under the request's id",
        status=500,
        type="server_error",
        code=code,
    )
