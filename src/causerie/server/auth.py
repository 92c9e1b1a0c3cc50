"""Access control: API keys, and which web pages may call the server.

A key is sent as `Authorization: Bearer …` or `xi-api-key: …`. A WebSocket, whose headers a browser
cannot set, may also send it in the query, as `api_key`, `xi-api-key` or `authorization`.

Without a key, every program on this machine has access, but a foreign web page in its browser has
not: it is recognised by its `Origin`, or by its `Host` if its domain points at this machine. The
page itself, `/health`, `/ready` and the docs are public; `/metrics` is not.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from causerie.server.errors import ApiError
from causerie.server.settings import Settings
from causerie.server.state import ServerState, state_of

#: Paths that need no key, and that are served while the model is loading.
OPEN_PATHS = frozenset(
    "/ /health /ready /docs /docs/oauth2-redirect /redoc /openapi.json /favicon.ico".split()
)
OPEN_PREFIXES = ("/page/",)
#: Close codes of a WebSocket: policy violation, and try again later.
REFUSED, LATER = 1008, 1013


def is_open(path: str) -> bool:
    """Whether a path needs no key."""
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIXES)


def check_key(settings: Settings, headers: Mapping[str, str], query: Mapping[str, str]) -> None:
    """Raise ApiError if a key is needed and no valid one was sent.

    Args:
        query: empty for HTTP, where keys in URLs would end up in logs.
    """
    if not settings.api_key:
        return
    keys = keys_of(headers, query)
    if any(is_key(settings, key) for key in keys):
        return
    reason = "the key is wrong" if keys else "a key is needed"
    raise ApiError(
        f"{reason}: send it as `Authorization: Bearer KEY`",
        status=401,
        code="invalid_api_key",
        headers={"WWW-Authenticate": "Bearer", "x-should-retry": "false"},
    )


def keys_of(headers: Mapping[str, str], query: Mapping[str, str]) -> list[str]:
    """All keys that a client sent."""
    keys = [headers.get("xi-api-key")]
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        keys.append(key.strip())
    keys += [query.get(name) for name in ("api_key", "xi-api-key", "authorization")]
    return [key for key in keys if key]


def is_key(settings: Settings, key: str) -> bool:
    """Whether a key is valid, compared in constant time."""
    sent = key.encode("utf-8", "surrogateescape")
    matches = [hmac.compare_digest(sent, valid.encode()) for valid in settings.api_key]
    return any(matches)


def check_websocket(websocket: WebSocket) -> None:
    """Raise ApiError if a WebSocket needs a key and sent no valid one in its headers or query."""
    check_key(state_of(websocket).settings, websocket.headers, websocket.query_params)


def check_browser(settings: Settings, headers: Mapping[str, str]) -> None:
    """Raise ApiError if a foreign web page makes the request, and no key protects the server."""
    host, origin = headers.get("host", ""), headers.get("origin")
    if not settings.api_key and not _is_trusted(settings, host):
        raise ApiError(
            f"host {host!r} is not allowed: start the server with --allowed-host {_name(host)}",
            status=403,
            type="permission_error",
            code="host_not_allowed",
            headers={"x-should-retry": "false"},
        )
    if origin is None or settings.api_key or "*" in settings.cors or origin in settings.cors:
        return
    if urlsplit(origin).netloc.lower() != host.lower():
        raise ApiError(
            f"pages of {origin} are not allowed: start the server with --cors {origin}",
            status=403,
            type="permission_error",
            code="origin_not_allowed",
            headers={"x-should-retry": "false"},
        )


def _name(host: str) -> str:
    """The name in `name:port`."""
    return (urlsplit(f"//{host}").hostname or "") if "@" not in host else host


def _is_trusted(settings: Settings, host: str) -> bool:
    """Whether a host name means this machine; any public domain may be pointed at it."""
    try:
        name = _name(host)
    except ValueError:
        return False
    if "." not in name or name in settings.allowed_host or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Gate:
    """Middleware that refuses requests without access, and all requests until the model is loaded.

    WebSocket routes check keys themselves, because some clients send theirs in the first message.
    """

    def __init__(self, app: ASGIApp, *, state: ServerState) -> None:
        self.app, self.state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            check_browser(self.state.settings, headers)
            if not is_open(scope["path"]):
                if scope["type"] == "http" and scope["method"] != "OPTIONS":
                    check_key(self.state.settings, headers, {})
                if self.state.service is None:
                    raise _loading()
        except ApiError as error:
            await self._refuse(error, scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _refuse(self, error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await error.response(scope["path"])(scope, receive, send)
            return
        code = LATER if error.status == 503 else REFUSED
        await send({"type": "websocket.close", "code": code, "reason": error.message[:120]})


def _loading() -> ApiError:
    return ApiError(
        "the model is loading: try again in a moment, see /ready",
        status=503,
        type="server_error",
        code="model_loading",
        headers={"Retry-After": "2", "retry-after-ms": "2000"},
    )
