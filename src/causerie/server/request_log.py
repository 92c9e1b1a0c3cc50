"""Gives every request an id, a line in the log and metrics, and answers unhandled errors."""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from causerie.server.errors import to_api_error
from causerie.server.metrics import Metrics

if TYPE_CHECKING:
    from causerie.server.spans import RequestSpan, Tracing

#: Methods that get metrics of their own.
METHODS = frozenset("GET HEAD POST PUT PATCH DELETE OPTIONS".split())
#: Routes that monitoring reads every few seconds: logged at the level debug, and not traced.
MONITORING = ("/health", "/ready", "/metrics")
#: The route of a path that no route matches.
UNKNOWN = "unknown"
_VALID_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")

request_id: ContextVar[str] = ContextVar("request_id", default="-")
#: Empty if traces are off.
trace_id: ContextVar[str] = ContextVar("trace_id", default="")

log = logging.getLogger("causerie.server")


class AbortedError(Exception):
    """A response that had begun failed. It has been reported; the connection must be closed."""


class RequestLog:
    """The outermost middleware.

    Args:
        tracing: makes a span of each request; None if traces are off.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, tracing: Tracing | None = None) -> None:
        self.app, self.metrics, self.tracing = app, metrics, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        given = Headers(scope=scope).get("x-request-id", "")
        name = given if _VALID_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        scope.setdefault("state", {})["request_id"] = name
        token = request_id.set(name)
        span = None
        if self.tracing is not None and scope["path"] not in MONITORING:
            span = self.tracing.request(scope)
            trace_id.set(span.trace_id)
        status, num_bytes = 0, 0

        async def counting(message: Message) -> None:
            nonlocal status, num_bytes
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = name
                took_ms = 1000 * (time.perf_counter() - started)
                headers["openai-processing-ms"] = str(round(took_ms))
            elif message["type"] == "http.response.body":
                num_bytes += len(message.get("body", b""))
            elif message["type"] == "websocket.accept":
                status = 101
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = name
            elif message["type"] == "websocket.close" and not status:
                status = 403  # uvicorn's answer to a WebSocket that is not accepted
            await send(message)

        try:
            await self.app(scope, receive, counting)
        except AbortedError:
            pass  # uvicorn closes the connection of an incomplete response
        except Exception as error:
            log.exception("request failed", extra={"facts": {"route": _route(scope)}})
            if status or scope["type"] == "websocket":
                raise
            api_error = to_api_error(error)
            self.metrics.errors.labels(api_error.code).inc()
            await api_error.response(scope["path"])(scope, receive, counting)
        finally:
            took_s = time.perf_counter() - started
            self._count(scope, status, took_s, num_bytes)
            if span is not None:
                _end(span, scope, status)
                trace_id.set("")
            request_id.reset(token)

    def _count(self, scope: Scope, status: int, took_s: float, num_bytes: int) -> None:
        route, method = _route(scope), scope.get("method", "WS")  # or a WebSocket
        is_known = "method" not in scope or method in METHODS
        label = method if is_known else "other"  # clients may invent any
        self.metrics.requests.labels(label, route, str(status)).inc()
        self.metrics.request_s.labels(route).observe(took_s)
        facts = {
            "method": method[:16],
            "path": scope["path"],
            "status": status,
            "seconds": round(took_s, 4),
            "bytes": num_bytes,
            "client": (scope.get("client") or ["-"])[0],
            **scope["state"].get("facts", {}),
        }
        level = logging.DEBUG if route in MONITORING else logging.INFO
        log.log(level, "request", extra={"facts": facts})


def _end(span: RequestSpan, scope: Scope, status: int) -> None:
    route, state = _route(scope), scope["state"]
    span.end(
        route=None if route == UNKNOWN else route,
        status=status,
        code=state.get("facts", {}).get("code"),
        request_id=state["request_id"],
    )


def _route(scope: Scope) -> str:
    """The pattern of the path, so that the number of metrics stays bounded."""
    return getattr(scope.get("route"), "path", UNKNOWN)


class TextLines(logging.Formatter):
    """`12:30:01 INFO request method=POST path=/v1/audio/speech … id=req_…`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """See logging."""
        line = super().formatMessage(record)
        for key, value in getattr(record, "facts", {}).items():
            line += f" {key}={_plain(value)}"
        name, trace = request_id.get(), trace_id.get()
        if trace:
            line += f" trace={trace}"
        return line if name == "-" else f"{line} id={name}"


class JsonLines(logging.Formatter):
    """One JSON object per event."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging."""
        facts: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
            **({"trace_id": trace_id.get()} if trace_id.get() else {}),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            facts["error"] = self.formatException(record.exc_info)
        return json.dumps(facts, ensure_ascii=False, default=str)


def _plain(value: object) -> str:
    """A value as one word of a log line, quoted if a client could forge a line with it."""
    text = str(value)
    return text if re.fullmatch(r"[!#-~]*", text) else json.dumps(text)
