"""Middlewares for Ray's HTTP proxies: errors in our format, and routing by model.

Ray imports this module in its proxy processes because `causerie.server.ray.deployment` names it in
their environment. Knows nothing of the app's routes.
"""

from __future__ import annotations

import json
import os
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from causerie.server.errors import ApiError, retry_after
from causerie.server.model_folder import ModelFolder

#: Response header with the replica's name. A response without it comes from Ray itself.
REPLICA_HEADER = "x-causerie-replica"
#: Close code of a WebSocket whose replica died: "service restart".
SERVICE_RESTART = 1012
#: Environment variable of the proxies with the folder of models.
MODELS = "CAUSERIE_MODELS"
#: Request header that makes Ray choose a replica that has this model loaded.
MODEL_HEADER = b"serve_multiplexed_model_id"
#: Larger bodies are not searched for a model.
MAX_BODY = 2**20


def proxy_middlewares() -> list[Middleware]:
    """Middlewares that Ray adds, by `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`."""
    folder = ModelFolder(os.environ.get(MODELS, ""))
    return [Middleware(ProxyErrors), Middleware(ModelRouting, folder=folder)]


class ProxyErrors:
    """Replaces Ray's own error responses with ours.

    Ray sends a line of plain text if all queues are full, and nothing if a replica dies before it
    responds.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI connection."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif scope["type"] != "http" or scope["path"].startswith("/-/"):  # Ray's own pages
            await self.app(scope, receive, send)
        else:
            await self._request(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_started, is_replaced = False, False

        async def send_replaced(message: Message) -> None:
            nonlocal has_started, is_replaced
            if message["type"] == "http.response.start":
                headers = Headers(raw=message["headers"])
                has_started = True
                is_replaced = message["status"] >= 400 and REPLICA_HEADER not in headers
                if is_replaced:
                    error = _ray_error(message["status"], headers)
                    await _respond(error, scope, receive, send)
            if not is_replaced:
                await send(message)

        await self.app(scope, receive, send_replaced)
        if not has_started:
            await _respond(_replica_lost(), scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = False

        async def receive_tracked() -> Message:
            nonlocal is_open
            message = await receive()
            is_open = is_open and message["type"] != "websocket.disconnect"
            return message

        async def send_tracked(message: Message) -> None:
            nonlocal is_open
            await send(message)
            is_open = message["type"] == "websocket.accept" or (
                is_open and message["type"] != "websocket.close"
            )

        await self.app(scope, receive_tracked, send_tracked)
        if is_open:
            reason = "the replica died: connect again"
            await send({"type": "websocket.close", "code": SERVICE_RESTART, "reason": reason})


class ModelRouting:
    """Adds the header by which Ray routes a request to a replica that has its model loaded.

    The model comes from the body, path or query. If these name none, as for a WebSocket that names
    it in a message, any replica may get the request and loads the model.
    """

    def __init__(self, app: ASGIApp, folder: ModelFolder) -> None:
        self.app, self._folder = app, folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI connection."""
        names = self._folder.models() if scope["type"] in ("http", "websocket") else {}
        if names:
            query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
            candidates = [*query.get("model", []), *query.get("voice", [])]
            candidates += scope["path"].split("/")
            if scope["type"] == "http" and scope["method"] == "POST":
                body, receive = await _body(receive)
                candidates = [*_names_in(body), *candidates]
            others = [(key, value) for key, value in scope["headers"] if key != MODEL_HEADER]
            name = next((name.encode() for name in candidates if name in names), None)
            scope = {**scope, "headers": [*others, *([(MODEL_HEADER, name)] if name else [])]}
        await self.app(scope, receive, send)


async def _body(receive: Receive) -> tuple[bytes, Receive]:
    """The body of a request, or its start if it is long, and a `receive` that replays it."""
    messages, body = [], b""
    while len(body) <= MAX_BODY:
        messages.append(await receive())
        body += messages[-1].get("body", b"")
        if not messages[-1].get("more_body"):
            break
    replayed = iter(messages)

    async def replay() -> Message:
        return next(replayed, None) or await receive()

    return body, replay


def _names_in(body: bytes) -> list[str]:
    """The model and the voice that a JSON body names; empty for any other body."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return []
    if not isinstance(fields, dict):
        return []
    voice = fields.get("voice")
    voice = voice.get("id") if isinstance(voice, dict) else voice
    return [name for name in (fields.get("model"), voice) if isinstance(name, str)]


async def _respond(error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse(error.body(), error.status, error.headers)(scope, receive, send)


def _ray_error(status: int, headers: Headers) -> ApiError:
    if status == 429:
        return ApiError(
            "the queues of all replicas are full: try again in a moment",
            status=429,
            type="rate_limit_error",
            code="queue_full",
            headers=retry_after(float(headers.get("retry-after", 1))),
        )
    if status in (503, 404):  # no replica, or no app during shutdown
        return _unavailable("no replica is available: try again in a moment", "no_replica")
    if status == 408:
        return _unavailable("no replica responded in time: try again", "timeout")
    return _replica_lost()


def _replica_lost() -> ApiError:
    return _unavailable("the replica died before it responded: try again", "replica_lost")


def _unavailable(message: str, code: str) -> ApiError:
    return ApiError(message, status=503, type="server_error", code=code, headers=retry_after(1))
