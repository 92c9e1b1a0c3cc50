"""OpenTelemetry's spans: one for each request, with one for each reply in it.

A request's span follows the semantic conventions for HTTP servers, and continues the trace of its
`traceparent` header. A reply's span ends with its audio; its child `queue` is the wait for a slot,
and its event `first_audio` the first chunk. Spans hold no text, no audio, no key and no query.

Imports the packages of the extra `otel`; `tracing` imports this module when traces are on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import Token
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
)
from opentelemetry.trace import SpanKind, StatusCode, Tracer
from starlette.datastructures import Headers
from starlette.types import Scope

from causerie import __version__
from causerie.reply.async_stream import AsyncStream, Outcome
from causerie.server.request_log import METHODS

#: Characters of a value that a client chooses.
MAX_CHARS = 256


def new_provider(exporter: str) -> TracerProvider:
    """A provider that exports spans, set up by OpenTelemetry's variables.

    Args:
        exporter: otlp or console.
    """
    resource = Resource({SERVICE_VERSION: __version__}).merge(Resource.create())
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "causerie"}))
    provider = TracerProvider(resource=resource)
    if exporter == "otlp":
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    else:
        provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
    return provider


class Tracing:
    """Makes the spans of one server."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("causerie", __version__)

    def request(self, scope: Scope) -> RequestSpan:
        """Begin the span of a request or a WebSocket, and make it the current one."""
        return RequestSpan(self._tracer, scope)

    def reply(self, protocol: str, started_ns: int) -> ReplySpan:
        """Begin the span of a reply, as a child of the current one.

        Args:
            started_ns: when the reply was requested, by `time.time_ns`.
        """
        return ReplySpan(self._tracer, protocol, started_ns)

    def close(self) -> None:
        """Export the spans that are left. May take seconds, so call it in a thread."""
        self._provider.shutdown()


class RequestSpan:
    """The span of a request, which is current until `end`."""

    def __init__(self, tracer: Tracer, scope: Scope) -> None:
        headers = Headers(scope=scope)
        self._method = _method(scope)
        self._span = tracer.start_span(
            self._method,
            context=propagate.extract(_Carrier(headers)),
            kind=SpanKind.SERVER,
            attributes=_request_attributes(scope, headers),
        )
        self._token: Token[Context] = attach(trace.set_span_in_context(self._span))

    @property
    def trace_id(self) -> str:
        """The id of the trace, in hexadecimal."""
        return trace.format_trace_id(self._span.get_span_context().trace_id)

    def end(self, *, route: str | None, status: int, code: str | None, request_id: str) -> None:
        """End the span.

        Args:
            route: the pattern of the path; None if no route matched.
            status: of HTTP; 0 if the client left before the response.
            code: of the error that the client got.
        """
        span = self._span
        span.set_attribute("causerie.request_id", request_id)
        if route is not None:
            span.update_name(f"{self._method} {route}")
            span.set_attribute("http.route", route)
        if status:
            span.set_attribute("http.response.status_code", status)
        if code is not None:
            span.set_attribute("causerie.error_code", code)
        if status >= 500 or (code is not None and status < 400):  # failed after its head, too
            span.set_attribute("error.type", code or str(status))
            span.set_status(StatusCode.ERROR)
        detach(self._token)
        span.end()


class ReplySpan:
    """The span of a reply."""

    def __init__(self, tracer: Tracer, protocol: str, started_ns: int) -> None:
        self._tracer = tracer
        self._span = tracer.start_span(
            "reply", start_time=started_ns, attributes={"causerie.protocol": protocol}
        )

    def record_first_audio(self, reply: AsyncStream) -> None:
        """Record the first chunk, and the wait for a slot before it."""
        assert reply.first_sound_ms is not None
        self._span.add_event("first_audio", {"causerie.first_sound_ms": reply.first_sound_ms})
        if reply.queued is not None:
            since_epoch_s = time.time() - time.perf_counter()
            start, end = (round(1e9 * (since_epoch_s + at)) for at in reply.queued)
            context = trace.set_span_in_context(self._span)
            self._tracer.start_span("queue", context, start_time=start).end(end)

    def end(self, reply: AsyncStream, outcome: Outcome) -> None:
        """End the span of a reply that has ended."""
        span = self._span
        span.set_attribute("causerie.outcome", outcome)
        span.set_attribute("causerie.text_tokens", reply.num_text_tokens)
        span.set_attribute("causerie.audio_seconds", reply.num_frames * reply.frame_s)
        span.set_attribute("causerie.underruns", reply.num_underruns)
        if reply.rtf is not None:
            span.set_attribute("causerie.rtf", reply.rtf)
        if outcome == "error":
            span.set_status(StatusCode.ERROR)
        span.end()


class _Carrier(dict[str, str]):
    """The headers that hold a trace's context, for OpenTelemetry's propagators."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        names = propagate.get_global_textmap().fields
        super().__init__({name: headers[name] for name in names if name in headers})


def _method(scope: Scope) -> str:
    """The method as the conventions name it; a WebSocket begins as a GET."""
    method = scope.get("method", "GET")
    return method if method in METHODS else "HTTP"


def _request_attributes(scope: Scope, headers: Headers) -> dict[str, Any]:
    method = scope.get("method", "GET")
    attributes: dict[str, Any] = {
        "http.request.method": method if method in METHODS else "_OTHER",
        "url.path": scope["path"][:MAX_CHARS],
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope["http_version"],
    }
    if method not in METHODS:
        attributes["http.request.method_original"] = method[:MAX_CHARS]
    if "user-agent" in headers:
        attributes["user_agent.original"] = headers["user-agent"][:MAX_CHARS]
    if scope.get("server"):
        attributes["server.address"], attributes["server.port"] = scope["server"]
    if scope.get("client"):
        attributes["client.address"], attributes["client.port"] = scope["client"]
    return attributes
