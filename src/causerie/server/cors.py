"""Answers the preflights of browsers, and lets pages that have access read the responses.

`causerie.server.auth` decides about access. Pages that have none get its error, without the headers
that would let them read it.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from causerie.server.auth import check_browser, is_allowed_origin
from causerie.server.errors import ApiError
from causerie.server.settings import Settings

#: Seconds for which a browser remembers the answer to a preflight.
MAX_AGE_S = 600


class Cors:
    """Middleware for the requests of web pages, extensions and apps."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        origin = headers.get("origin")
        if origin is None or not is_allowed_origin(self.settings, origin, headers.get("host", "")):
            await self.app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            try:
                check_browser(self.settings, headers)
            except ApiError:  # of the host; the app answers with it
                await self.app(scope, receive, send)
                return
            await Response(status_code=200, headers=_preflight(headers))(scope, receive, send)
            return

        async def readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                sent["Access-Control-Allow-Origin"] = origin
                sent["Access-Control-Expose-Headers"] = "*"
                sent.add_vary_header("Origin")
            await send(message)

        await self.app(scope, receive, readable)


def _preflight(request: Headers) -> dict[str, str]:
    """The headers of the answer to a preflight: everything is allowed."""
    headers = {
        "Access-Control-Allow-Origin": request["origin"],
        "Access-Control-Allow-Methods": request["access-control-request-method"],
        "Access-Control-Max-Age": str(MAX_AGE_S),
        "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, "
        "Access-Control-Request-Private-Network",
    }
    if names := request.get("access-control-request-headers"):
        headers["Access-Control-Allow-Headers"] = names
    if request.get("access-control-request-private-network") == "true":
        headers["Access-Control-Allow-Private-Network"] = "true"
    return headers
