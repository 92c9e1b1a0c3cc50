"""Around Ray's proxies: what they answer by themselves, in the shape that our clients understand.

Ray imports it in its proxies' processes, once `causerie.server.ray` has named it in their
environment. Knows neither models nor what the app answers.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from causerie.server.errors import ApiError, retry_after

#: In each answer of a replica: who gave it. What lacks it is by Ray.
REPLICA_HEADER = "x-causerie-replica"
#: Code by which a WebSocket is closed whose replica died: "service restart".
LOST = 1012


def proxy_middlewares() -> list[Middleware]:
    """Ray calls this, by `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`."""
    return [Middleware(ProxyErrors)]


class ProxyErrors:
    """Replaces what Ray says by itself.

    That is little: a line of text where all queues are full, and nothing where a replica died
    before it answered.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif scope["type"] != "http" or scope["path"].startswith("/-/"):  # pages of Ray's own
            await self.app(scope, receive, send)
        else:
            await self._request(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, replaced = False, False

        async def shaped(message: Message) -> None:
            nonlocal began, replaced
            if message["type"] == "http.response.start":
                headers = Headers(raw=message["headers"])
                began = True
                replaced = message["status"] >= 400 and REPLICA_HEADER not in headers
                if replaced:
                    error = _said_by_ray(message["status"], headers)
                    await _answer(error, scope, receive, send)
            if not replaced:
                await send(message)

        await self.app(scope, receive, shaped)
        if not began:
            await _answer(_lost(), scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = False

        async def received() -> Message:
            nonlocal is_open
            message = await receive()
            is_open = is_open and message["type"] != "websocket.disconnect"
            return message

        async def sent(message: Message) -> None:
            nonlocal is_open
            await send(message)
            is_open = message["type"] == "websocket.accept" or (
                is_open and message["type"] != "websocket.close"
            )

        await self.app(scope, received, sent)
        if is_open:
            reason = "the replica was lost: connect again"
            await send({"type": "websocket.close", "code": LOST, "reason": reason})


async def _answer(error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse(error.body(), error.status, error.headers)(scope, receive, send)


def _said_by_ray(status: int, headers: Headers) -> ApiError:
    if status == 429:
        return ApiError(
            "the queues of all replicas are full: try again in a moment",
            status=429,
            type="rate_limit_error",
            code="queue_full",
            headers=retry_after(float(headers.get("retry-after", 1))),
        )
    if status in (503, 404):  # no replica, or no app, as while the server ends
        return _unavailable("no replica can answer now: try again in a moment", "no_replica")
    if status == 408:
        return _unavailable("no replica answered in time: try again", "timeout")
    return _lost()


def _lost() -> ApiError:
    return _unavailable("the replica was lost before it answered: try again", "replica_lost")


def _unavailable(message: str, code: str) -> ApiError:
    return ApiError(message, status=503, type="server_error", code=code, headers=retry_after(1))
