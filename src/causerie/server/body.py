"""Bodies of requests, of which no more is read than can be meant, whatever they say."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: What a request holds beside its recording, and what base64 adds to it.
MARGIN, TIMES = 2**20, 2
#: Of a body that is too large, so many times as much is thrown away, so that a client which writes
#: it to its end before it reads hears why it was refused, and is not cut off.
THROWN_AWAY = 4


class BodyLimit:
    """Answers 413 where a body is too large: before it is read, or as soon as it shows."""

    def __init__(self, app: ASGIApp, *, max_upload_bytes: int) -> None:
        self.app = app
        self.max_bytes = TIMES * max_upload_bytes + MARGIN

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "")
        is_too_large = said.isdigit() and int(said) > self.max_bytes
        num_read = 0

        async def limited() -> Message:
            nonlocal num_read
            message = await receive()
            if message["type"] != "http.request":
                return message
            num_read += len(message.get("body", b""))
            if is_too_large or num_read > self.max_bytes:
                while message.get("more_body") and num_read < THROWN_AWAY * self.max_bytes:
                    message = await receive()
                    num_read += len(message.get("body", b""))
                raise HTTPException(
                    413,
                    f"the request is larger than {self.max_bytes / 2**20:.0f} MiB",
                    headers={"Connection": "close"},  # or the rest of it would come still
                )
            return message

        await self.app(scope, limited, send)
