"""Access control: API keys, and the web pages that may call the server.

A key is sent as `Authorization: Bearer …` or `xi-api-key: …`. A WebSocket, whose headers a browser
cannot set, may also send it in the query, as `api_key`, `xi-api-key` or `authorization`, as may a
player that fetches speech by GET.

Without a key, every program on this machine has access, but a foreign web page in its browser has
not: it is recognised by its `Origin`, or by its `Host` if its domain points at this machine.
Browser extensions and desktop apps have origins that no web page can have, and are let in.

The page itself, `/health`, `/ready` and the docs are public; `/metrics` is not. The lists of models
and voices are public too, but without the uploaded voices: clients read them without their key.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, QueryParams
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from causerie.server.clients import client_at, current_client
from causerie.server.errors import ApiError, retry_after
from causerie.server.settings import Settings
from causerie.server.state import ServerState, state_of

#: Paths that need no key, and that are served while the model is loading.
OPEN_PATHS = frozenset("/ /health /ready /docs /redoc /openapi.json /favicon.ico".split())
OPEN_PREFIXES = ("/page/", "/docs/")
#: Routes that list the models and the built-in voices without a key.
_LISTINGS = re.compile(
    r"/v1/models(/.+)?|/v1/audio/(models|voices)(/(?!.*/preview$).+)?|/v1/voices/settings/default|"
    r"/v[12]/voices(/[^/]+(/settings)?)?"
)
#: Schemes of the origins of web pages and files. The others belong to extensions and apps.
WEB_SCHEMES = frozenset(
    "http https ws wss ftp file data blob filesystem about javascript content ipfs ipns hyper dat "
    "gemini gopher".split()
)
#: Addresses of the pages inside apps made with Capacitor, Tauri and Wails, where they use http.
APP_HOSTS = frozenset({"localhost", "tauri.localhost", "wails.localhost"})
#: Ends of names that public DNS does not have, so that no foreign page can have such an address.
LOCAL_NAMES = (".local", ".internal", ".lan", ".home.arpa", ".localhost")
#: Refused origins and hosts that are logged, each once.
MAX_LOGGED = 100
#: Names of a key in a query.
KEY_NAMES = ("api_key", "xi-api-key", "authorization")
#: Close codes of a WebSocket: policy violation, and try again later.
REFUSED, LATER = 1008, 1013

log = logging.getLogger("causerie.server")

_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@\\\s]+)")


def is_open(path: str) -> bool:
    """Whether a path needs no key."""
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIXES)


def is_listing(method: str, path: str) -> bool:
    """Whether a request lists models or voices, which needs no key."""
    return method in ("GET", "HEAD") and _LISTINGS.fullmatch(path) is not None


def check_key(settings: Settings, headers: Mapping[str, str], query: Mapping[str, str]) -> None:
    """Raise ApiError if a key is needed and no valid one was sent.

    Args:
        query: empty for HTTP, where keys in URLs would end up in logs, but for GET of speech.
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
    keys += [query.get(name) for name in KEY_NAMES]
    return [key for key in keys if key]


def is_key(settings: Settings, key: str) -> bool:
    """Whether a key is valid, compared in constant time; it is then the current client."""
    sent = key.encode("utf-8", "surrogateescape")
    matches = [hmac.compare_digest(sent, valid.encode()) for valid in settings.api_key]
    if any(matches):
        current_client.set(f"key {matches.index(True)}")
    return any(matches)


def check_websocket(websocket: WebSocket) -> None:
    """Raise ApiError if a WebSocket needs a key and sent no valid one in its headers or query."""
    check_key(state_of(websocket).settings, websocket.headers, websocket.query_params)


def has_access(request: HTTPConnection) -> bool:
    """Whether a request has a valid key, or none is needed."""
    settings = state_of(request).settings
    return not settings.api_key or any(
        is_key(settings, key) for key in keys_of(request.headers, {})
    )


def check_browser(settings: Settings, headers: Mapping[str, str]) -> None:
    """Raise ApiError if a foreign web page makes the request, and no key protects the server."""
    host, origin = headers.get("host", ""), headers.get("origin")
    if origin is None:
        origin = _embedding_page(headers)
    if not settings.api_key and not _is_trusted(settings, host):
        raise ApiError(
            f"host {_shown(host)} is not allowed: start the server with --allowed-host "
            f"{_shown(_name(host))}",
            status=403,
            type="permission_error",
            code="host_not_allowed",
            headers={"x-should-retry": "false"},
        )
    if origin is None or is_allowed_origin(settings, origin, host):
        return
    shown = _shown(origin)
    page = f"pages of {shown}"
    if origin == "null":  # sandboxed frames have it, in any page
        page, shown = "files and other pages without an address", "null, which lets any page in"
    raise ApiError(
        f"{page} are not allowed: start the server with --cors {shown}",
        status=403,
        type="permission_error",
        code="origin_not_allowed",
        headers={"x-should-retry": "false"},
    )


def _embedding_page(headers: Mapping[str, str]) -> str | None:
    """The origin of the page that embeds the answer, as a sound or a frame; None if none does.

    Browsers send no `Origin` for those.
    """
    is_foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
    if not is_foreign or headers.get("sec-fetch-dest") == "document":  # a link to it
        return None
    try:
        page = urlsplit(headers.get("referer", ""))
    except ValueError:
        return "null"
    return f"{page.scheme}://{page.netloc}" if page.netloc else "null"


def is_allowed_origin(settings: Settings, origin: str, host: str) -> bool:
    """Whether a page of this origin may call the server.

    Args:
        host: the header `Host` of its request.
    """
    origin = origin.lower()
    if settings.api_key or {"*", origin} & {name.lower().rstrip("/") for name in settings.cors}:
        return True
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        return False
    scheme, address = found.groups()
    return scheme not in WEB_SCHEMES or address == host.lower() or address in APP_HOSTS


def _name(host: str) -> str:
    """The name in `name:port`, in small letters and without a dot at its end."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return host
    return host if "@" in host else name.removesuffix(".")


def _shown(text: str) -> str:
    """A header in a message: short, on one line."""
    return ascii(text[:200])[1:-1]


def _is_trusted(settings: Settings, host: str) -> bool:
    """Whether a host name means this machine; any public domain may be pointed at it."""
    name = _name(host)
    if not re.fullmatch(r"[^@/?#\\\s\[\]]*", name):
        return False
    if "." not in name or name.endswith(LOCAL_NAMES):
        return True
    if name in map(_name, settings.allowed_host):
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
        self._logged: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        current_client.set(client_at(scope.get("client")))
        try:
            check_browser(self.state.settings, headers)
            if not is_open(scope["path"]):
                if scope["type"] == "http" and scope["method"] != "OPTIONS":
                    is_public = is_listing(scope["method"], scope["path"])
                    if not is_public or keys_of(headers, {}):  # a wrong key is an error everywhere
                        check_key(self.state.settings, headers, self._query(scope))
                if self.state.service is None:
                    raise _loading()
        except ApiError as error:
            await self._refuse(error, scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _query(self, scope: Scope) -> Mapping[str, str]:
        """The query, if it may hold the key: of a sound that a player fetches by its address."""
        is_get = self.state.settings.allow_get and scope["method"] in ("GET", "HEAD")
        is_speech = scope["path"].startswith("/v1/audio/speech")
        return QueryParams(scope["query_string"]) if is_get and is_speech else {}

    async def _refuse(self, error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {}).setdefault("facts", {})["code"] = error.code
        self.state.metrics.errors.labels(error.code).inc()
        if error.status == 403 and len(self._logged) < MAX_LOGGED:
            if error.message not in self._logged:
                log.warning("a web page was refused: %s", error.message)
            self._logged.add(error.message)
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
        headers=retry_after(2),
    )
