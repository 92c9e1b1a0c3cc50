"""Who may ask: keys, and which web pages.

A key comes as `Authorization: Bearer …` or `xi-api-key: …`; over a WebSocket, whose headers a
browser cannot set, also in the query, as `api_key`, `xi-api-key` or `authorization`.

Without a key, anything that runs on this machine may ask, but a web page from elsewhere that is
open in its browser may not: its `Origin` gives it away, or, where its name was made to point at
this machine, its `Host`. Open to all are the page itself, `/health`, `/ready` and the docs, which
tell nothing that is secret; `/metrics` is not.
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

#: What answers without a key, and while the model is loaded.
OPEN_PATHS = frozenset(
    "/ /health /ready /docs /docs/oauth2-redirect /redoc /openapi.json /favicon.ico".split()
)
OPEN_PREFIXES = ("/page/",)
#: Of a WebSocket: policy violation, and try again later.
REFUSED, LATER = 1008, 1013


def is_open(path: str) -> bool:
    """Whether a path answers without a key."""
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIXES)


def check_key(settings: Settings, headers: Mapping[str, str], query: Mapping[str, str]) -> None:
    """Raise ApiError where a key is needed and none of the given ones is right.

    Args:
        query: empty where it does not count, as in HTTP: addresses end up in logs.
    """
    if not settings.api_key:
        return
    given = keys_of(headers, query)
    if any(is_key(settings, key) for key in given):
        return
    wrong = "the key is not right" if given else "a key is needed"
    raise ApiError(
        f"{wrong}: send it as `Authorization: Bearer KEY`",
        status=401,
        code="invalid_api_key",
        headers={"WWW-Authenticate": "Bearer", "x-should-retry": "false"},
    )


def keys_of(headers: Mapping[str, str], query: Mapping[str, str]) -> list[str]:
    """All keys that a client sent."""
    given = [headers.get("xi-api-key")]
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        given.append(key.strip())
    given += [query.get(name) for name in ("api_key", "xi-api-key", "authorization")]
    return [key for key in given if key]


def is_key(settings: Settings, key: str) -> bool:
    """Whether it is one of ours; takes as long for any key of a length."""
    sent = key.encode("utf-8", "surrogateescape")
    same = [hmac.compare_digest(sent, ours.encode()) for ours in settings.api_key]
    return any(same)


def check_websocket(websocket: WebSocket) -> None:
    """Raise ApiError where a WebSocket has no right key in its headers or its query."""
    check_key(state_of(websocket).settings, websocket.headers, websocket.query_params)


def check_browser(settings: Settings, headers: Mapping[str, str]) -> None:
    """Raise ApiError where a web page from elsewhere asks, and no key protects us."""
    host, origin = headers.get("host", ""), headers.get("origin")
    if not settings.api_key and not _is_ours(settings, host):
        raise ApiError(
            f"host {host!r} is not known: start the server with --allowed-host {_name(host)}",
            status=403,
            type="permission_error",
            code="host_not_allowed",
            headers={"x-should-retry": "false"},
        )
    if origin is None or settings.api_key or "*" in settings.cors or origin in settings.cors:
        return
    if urlsplit(origin).netloc.lower() != host.lower():
        raise ApiError(
            f"a page of {origin} may not ask: start the server with --cors {origin}",
            status=403,
            type="permission_error",
            code="origin_not_allowed",
            headers={"x-should-retry": "false"},
        )


def _name(host: str) -> str:
    """The name of `name:port`."""
    return (urlsplit(f"//{host}").hostname or "") if "@" not in host else host


def _is_ours(settings: Settings, host: str) -> bool:
    """Whether a name is certain to mean this machine: who has a domain may point it at us."""
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
    """Lets in who may ask, of HTTP and WebSockets; and nobody before the model is there.

    WebSockets check their keys themselves, as some send them in their first message.
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
        "the model is being loaded: try again in a moment, see /ready",
        status=503,
        type="server_error",
        code="model_loading",
        headers={"Retry-After": "2", "retry-after-ms": "2000"},
    )
