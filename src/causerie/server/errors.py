"""How errors look on the wire: OpenAI's shape, filled by the table of `causerie.statuses`.

    {"error": {"message": "…", "type": "invalid_request_error", "param": "voice", "code": "…"}}

At ElevenLabs' addresses, ElevenLabs' shape is beside it:

    {"error": …, "detail": {"status": "voice_not_found", "message": "…"}}

Every protocol uses it; WebSockets and Wyoming put what it says into shapes of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from causerie.errors import CancelledError, StoreError
from causerie.statuses import told

#: Where ElevenLabs' clients ask.
ELEVENLABS = ("/v1/text-to-speech/", "/v1/voices")
#: Of what may go well another time, in OpenAI's words.
_TYPES = {429: "rate_limit_error", 503: "server_error"}


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
    if isinstance(error, StoreError):
        return ApiError(
            str(error),
            status=503,
            type="server_error",
            code="storage_failed",
            headers={**retry_after(5), "x-should-retry": "false"},
        )
    if isinstance(error, CancelledError):
        return shutting_down()
    row = told(error)
    if row.status == 500:
        return ApiError(
            "the server failed at this request; its log says why, under the request's id",
            status=500,
            type="server_error",
            code=row.code,
        )
    return ApiError(
        str(error),
        status=row.status,
        type=_TYPES.get(row.status, "invalid_request_error"),
        code=row.code,
        param=row.param,
        headers=retry_after(2) if row.status in _TYPES else None,
    )
