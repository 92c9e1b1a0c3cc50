"""Around Ray's proxies: what they answer by themselves, in the shape that our clients understand.

Ray imports it in its proxies' processes, once `causerie.server.ray.deployment` has named it in
their environment. Knows neither models nor what the app answers.
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

#: In each answer of a replica: who gave it. What lacks it is by Ray.
REPLICA_HEADER = "x-causerie-replica"
#: Code by which a WebSocket is closed whose replica died: "service restart".
LOST = 1012
#: In the proxies' environment: the folder of models.
MODELS = "CAUSERIE_MODELS"
#: By this header Ray's clients name the model they want, and a replica answers that has it.
MODEL_HEADER = b"serve_multiplexed_model_id"
#: A body that is longer is not looked into.
MAX_BODY = 2**20


def proxy_middlewares() -> list[Middleware]:
    """Ray calls this, by `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`."""
    folder = ModelFolder(os.environ.get(MODELS, ""))
    return [Middleware(ProxyErrors), Middleware(ByModel, folder=folder)]


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


class ByModel:
    """Names to Ray the model that a request is for, by body, path or query.

    Where none is named, or late, in a message of a WebSocket, any replica answers: it loads what it
    is asked for.
    """

    def __init__(self, app: ASGIApp, folder: ModelFolder) -> None:
        self.app, self._folder = app, folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        names = self._folder.found() if scope["type"] in ("http", "websocket") else {}
        if names:
            query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
            asked = [*query.get("model", []), *query.get("voice", []), *scope["path"].split("/")]
            if scope["type"] == "http" and scope["method"] == "POST":
                body, receive = await _body(receive)
                asked = [*_named(body), *asked]
            others = [(key, value) for key, value in scope["headers"] if key != MODEL_HEADER]
            name = next((name.encode() for name in asked if name in names), None)
            scope = {**scope, "headers": [*others, *([(MODEL_HEADER, name)] if name else [])]}
        await self.app(scope, receive, send)


async def _body(receive: Receive) -> tuple[bytes, Receive]:
    """The body of a request, or the begin of it, and what gives all of it once more."""
    messages, body = [], b""
    while len(body) <= MAX_BODY:
        messages.append(await receive())
        body += messages[-1].get("body", b"")
        if not messages[-1].get("more_body"):
            break
    given = iter(messages)

    async def again() -> Message:
        return next(given, None) or await receive()

    return body, again


def _named(body: bytes) -> list[str]:
    """The model and the voice of a request in JSON; nothing where it is something else."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return []
    if not isinstance(asked, dict):
        return []
    voice = asked.get("voice")
    voice = voice.get("id") if isinstance(voice, dict) else voice
    return [name for name in (asked.get("model"), voice) if isinstance(name, str)]


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
