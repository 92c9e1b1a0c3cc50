"""Limits the size of request bodies, whatever length they claim."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: What a request holds besides its recording, in bytes, and a bound on the growth by base64.
MARGIN, GROWTH = 2**20, 2
#: Drain up to 4× the limit, so that a client that only reads after writing still sees the 413.
DRAIN = 4


class BodyLimit:
    """Answers 413 to a body that is too large: from its declared length, or while reading it."""

    def __init__(self, app: ASGIApp, *, max_upload_bytes: int) -> None:
        self.app = app
        self.max_bytes = GROWTH * max_upload_bytes + MARGIN

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        is_too_large = length.isdigit() and int(length) > self.max_bytes
        num_read = 0

        async def limited() -> Message:
            nonlocal num_read
            message = await receive()
            if message["type"] != "http.request":
                return message
            num_read += len(message.get("body", b""))
            if is_too_large or num_read > self.max_bytes:
                while message.get("more_body") and num_read < DRAIN * self.max_bytes:
                    message = await receive()
                    num_read += len(message.get("body", b""))
                raise HTTPException(
                    413,
                    f"the request is larger than {self.max_bytes / 2**20:.0f} MiB",
                    headers={"Connection": "close"},  # the rest of the body may still come
                )
            return message

        await self.app(scope, limited, send)
