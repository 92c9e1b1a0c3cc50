"""Traces for OpenTelemetry: when they are on, what the spans hold, and where they go."""

from __future__ import annotations

import asyncio
import http.server
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_trace_id

from causerie.errors import ConfigError
from causerie.server.metrics import Metrics
from causerie.server.models import Models
from causerie.server.request_log import JsonLines, TextLines
from causerie.server.service import SpeechService
from causerie.server.settings import Settings
from causerie.server.spans import Tracing
from causerie.server.texts import CheckedText
from causerie.server.tracing import exporter_name, open_tracing
from causerie.server.voices.store import open_store
from causerie.tts import TTS
from tests import tiny
from tests.server.process import served
from tests.server.running import Running, running, send

ROOT = Path(__file__).parents[2]
TEXT = "A secret sentence."
KEY = "secret-key"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_SERVICE_NAME",
                 "OTEL_RESOURCE_ATTRIBUTES", "OTEL_EXPORTER_OTLP_ENDPOINT",
                 "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL",
                 "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


class Spans:
    """Collects the spans of a `Tracing`."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracing = Tracing(self.provider)

    @property
    def all(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> ReadableSpan:
        (span,) = [span for span in self.all if span.name == name]
        return span


# -- when they are on ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, "none"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, "none"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, "none"),
        ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, "none"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "none"),
    ],
)
def test_the_standard_variables_choose_the_exporter(
    variables: dict[str, str], wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert exporter_name() == wanted


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "zipkin.*otlp, console, none"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "grpc.*http/protobuf.*4318",
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
            },
            "grpc.*http/protobuf",
        ),
    ],
)
def test_unsupported_exporters_are_refused(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message):
        open_tracing()


def test_nothing_is_imported_while_they_are_off() -> None:
    program = (
        "import sys\n"
        "from causerie.server.app import create_app\n"
        "from causerie.server.settings import Settings\n"
        "assert create_app(Settings()).state.server.tracing is None\n"
        "names = 'causerie.server.spans', 'opentelemetry.sdk', 'opentelemetry.exporter'\n"
        "assert not {*names} & {*sys.modules}\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_fastapi_makes_no_spans_of_its_own() -> None:
    """They would hold the query with its key."""
    program = (
        "from opentelemetry import trace\n"
        "from starlette.testclient import TestClient\n"
        "from causerie.server.app import create_app\n"
        "from causerie.server.settings import Settings\n"
        "from tests.server.test_tracing import Spans\n"
        "spans = Spans()\n"
        "trace.set_tracer_provider(spans.provider)\n"
        "client = TestClient(create_app(Settings()), base_url='http://127.0.0.1')\n"
        "assert client.get('/docs?api_key=secret').status_code == 200\n"
        "assert not spans.all, spans.all\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_without_the_extra_the_server_starts_and_warns(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.delitem(sys.modules, "causerie.server.spans")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert open_tracing() is None
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert 'pip install "causerie[otel]"' in record.message


# -- where they go ---------------------------------------------------------------------------


@pytest.fixture
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """A collector: its address, and what it received."""
    received: list[ExportTraceServiceRequest] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("variables", "name"),
    [({}, "causerie"), ({"OTEL_SERVICE_NAME": "speech"}, "speech"),
     ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=voice"}, "voice")],
)  # fmt: skip
def test_spans_go_to_the_collector(
    collector: tuple[str, list[ExportTraceServiceRequest]],
    variables: dict[str, str],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, received = collector
    for variable, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": url, **variables}.items():
        monkeypatch.setenv(variable, value)
    tracing = open_tracing()
    assert tracing is not None
    scope = {"type": "http", "method": "GET", "path": "/x", "scheme": "http",
             "http_version": "1.1", "headers": []}  # fmt: skip
    tracing.request(scope).end(route="/x", status=200, code=None, request_id="one")
    tracing.close()
    ((resource,),) = [request.resource_spans for request in received]
    attributes = {one.key: one.value.string_value for one in resource.resource.attributes}
    assert attributes["service.name"] == name
    assert [span.name for scope in resource.scope_spans for span in scope.spans] == ["GET /x"]


@pytest.mark.slow
def test_a_server_exports_its_last_spans_at_shutdown(
    collector: tuple[str, list[ExportTraceServiceRequest]], tmp_path: Path
) -> None:
    url, received = collector
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
    with served(tmp_path, **variables) as server:
        assert httpx.get(f"{server.url}/v1/models").status_code == 200
        assert not received
    spans = [
        span.name
        for request in received
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert "GET /v1/models" in spans


# -- what they hold --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Spans]]:
    spans = Spans()
    folder = tmp_path_factory.mktemp("voices")
    with running(folder, tracing=spans.tracing, api_key=KEY) as server:
        yield server, spans


def wait_for(traced: tuple[Running, Spans], num_spans: int, do: Callable[[], None]) -> Spans:
    """The spans, of which `do` made this many. A span ends after its response."""
    server, spans = traced
    spans._exporter.clear()
    do()
    server.wait_for(lambda: len(spans.all) >= num_spans)
    assert len(spans.all) == num_spans
    return spans


def test_a_request_and_its_reply(traced: tuple[Running, Spans]) -> None:
    server, _ = traced

    def post() -> None:
        response = httpx.post(
            f"{server.http}/v1/audio/speech",
            params={"api_key": "in-the-query"},
            headers={
                "authorization": f"Bearer {KEY}",
                "user-agent": "pytest" * 100,
                "traceparent": f"00-{TRACE}-{PARENT}-01",
                "x-request-id": "mine",
            },
            json={"input": TEXT, "response_format": "pcm", "seed": 1},
            timeout=None,
        )
        assert response.status_code == 200

    spans = wait_for(traced, 3, post)
    request = spans.named("POST /v1/audio/speech")
    reply, queue = spans.named("reply"), spans.named("queue")

    assert {format_trace_id(span.context.trace_id) for span in spans.all} == {TRACE}
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == PARENT
    assert reply.parent is not None
    assert reply.parent.span_id == request.context.span_id
    assert queue.parent is not None
    assert queue.parent.span_id == reply.context.span_id

    assert request.kind is SpanKind.SERVER
    assert request.status.status_code is StatusCode.UNSET
    assert request.attributes is not None
    attributes = {**request.attributes}
    assert isinstance(attributes.pop("client.port"), int)
    assert attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/audio/speech",
        "http.response.status_code": 200,
        "url.path": "/v1/audio/speech",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "user_agent.original": ("pytest" * 100)[:256],
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "client.address": "127.0.0.1",
        "causerie.request_id": "mine",
    }

    assert reply.attributes is not None
    assert reply.attributes["causerie.protocol"] == "http"
    assert reply.attributes["causerie.outcome"] == "end"
    assert reply.attributes["causerie.audio_seconds"] > 0.5  # type: ignore[operator]
    (event,) = reply.events
    assert event.name == "first_audio"
    times = [span.start_time for span in (request, reply, queue)] + [queue.end_time]
    times += [event.timestamp, reply.end_time]
    assert times == sorted(times)  # type: ignore[type-var]

    everything = "".join(span.to_json() for span in spans.all)
    assert TEXT not in everything
    assert KEY not in everything
    assert "in-the-query" not in everything


@pytest.mark.parametrize(
    ("method", "path", "name", "expected"),
    [
        ("GET", "/nothing", "GET", {"http.response.status_code": 404, "url.path": "/nothing"}),
        ("GET", "/v1/audio/speech", "GET /v1/audio/speech", {"http.response.status_code": 405}),
        ("POST", "/v1/audio/speech", "POST /v1/audio/speech", {
            "http.response.status_code": 400, "causerie.error_code": "missing_required_parameter",
        }),
        ("BREW", "/", "HTTP", {
            "http.request.method": "_OTHER", "http.request.method_original": "BREW",
        }),
        ("WS", "/nothing", "HTTP", {"http.request.method": "_OTHER"}),
    ],
)  # fmt: skip
def test_refused_requests(
    traced: tuple[Running, Spans], method: str, path: str, name: str, expected: dict[str, object]
) -> None:
    server, _ = traced
    headers = {"authorization": f"Bearer {KEY}"}
    body = {} if method == "POST" else None
    spans = wait_for(
        traced,
        1,
        lambda: httpx.request(method, server.http + path, headers=headers, json=body) and None,
    )
    span = spans.all[0]
    assert span.name.startswith(name)
    assert span.attributes is not None
    assert {**span.attributes, **expected} == {**span.attributes}
    assert span.status.status_code is StatusCode.UNSET, "the client's fault"
    assert span.parent is None


def test_invalid_parents_are_ignored(traced: tuple[Running, Spans]) -> None:
    server, _ = traced
    for value in "", "garbage", f"00-{'0' * 32}-{PARENT}-01", "x" * 5000:
        headers = {"traceparent": value, "tracestate": "=,=", "baggage": "=;,"}
        spans = wait_for(
            traced,
            1,
            lambda headers=headers: httpx.get(f"{server.http}/v1/models", headers=headers) and None,  # type: ignore[misc]
        )
        assert spans.all[0].parent is None


def test_monitoring_is_not_traced(traced: tuple[Running, Spans]) -> None:
    server, _ = traced

    def get() -> None:
        for path in "/health", "/ready", "/metrics", "/v1/models":
            httpx.get(server.http + path)

    assert [span.name for span in wait_for(traced, 1, get).all] == ["GET /v1/models"]


def test_a_websocket_has_a_span_with_its_replies(traced: tuple[Running, Spans]) -> None:
    server, _ = traced

    def speak() -> None:
        with server.connect(f"/v1/audio/speech/stream?api_key={KEY}") as socket:
            send(socket, type="session.config", response_format="pcm")
            send(socket, type="input.text", text=TEXT)
            send(socket, type="input.done")
            while True:
                data = socket.recv()
                if isinstance(data, str) and json.loads(data)["type"] == "session.done":
                    break

    spans = wait_for(traced, 3, speak)
    request = spans.named("GET /v1/audio/speech/stream")
    assert request.attributes is not None
    assert request.attributes["http.response.status_code"] == 101
    reply = spans.named("reply")
    assert reply.parent is not None
    assert reply.parent.span_id == request.context.span_id
    assert KEY not in "".join(span.to_json() for span in spans.all)


def test_log_lines_have_the_trace(
    traced: tuple[Running, Spans], caplog: pytest.LogCaptureFixture
) -> None:
    server, spans = traced
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.extend([TextLines().format(record), JsonLines().format(record)])

    logger, handler = logging.getLogger("causerie.server"), Keep()
    logger.addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, logger.name):
            wait_for(traced, 1, lambda: httpx.get(f"{server.http}/v1/models") and None)
    finally:
        logger.removeHandler(handler)
    trace = format_trace_id(spans.all[0].context.trace_id)
    text, line = lines
    assert f" trace={trace} id=req_" in text
    assert json.loads(line)["trace_id"] == trace


def test_replies_without_a_request_that_fail_or_are_cancelled(tmp_path: Path) -> None:
    """As those of Wyoming, which has no HTTP request."""
    spans = Spans()

    async def task(service: SpeechService) -> None:
        reply = await service.speak(CheckedText("Hello there."), protocol="wyoming")
        await anext(reply)
        await reply.aclose()

        async def failing():  # type: ignore[no-untyped-def]
            yield "Hello "
            raise RuntimeError("the client's language model is gone")

        reply = await service.speak(failing(), protocol="wyoming")
        with pytest.raises(RuntimeError, match="is gone"):
            async for _ in reply:
                pass

    _run(tmp_path, spans, task)
    cancelled, failed = [span for span in spans.all if span.name == "reply"]
    assert cancelled.attributes is not None
    assert failed.attributes is not None
    assert cancelled.attributes["causerie.outcome"] == "cancelled"
    assert failed.attributes["causerie.outcome"] == "error"
    assert cancelled.status.status_code is StatusCode.UNSET
    assert failed.status.status_code is StatusCode.ERROR
    assert cancelled.parent is None


def test_the_wait_for_a_slot_is_a_span(tmp_path: Path) -> None:
    spans, text = Spans(), CheckedText("Hello there.")
    freed_at = 0

    async def task(service: SpeechService) -> None:
        nonlocal freed_at
        first = await service.speak(text, max_duration_s=60.0, guard="off", protocol="http")
        await anext(first)
        second = await service.speak(text, max_duration_s=1.0, protocol="http")
        freed_at = time.time_ns()
        await first.aclose()
        async for _ in second:
            pass

    _run(tmp_path, spans, task, max_streams=1)
    _, queue = (span for span in spans.all if span.name == "queue")
    assert queue.start_time is not None
    assert queue.end_time is not None
    assert queue.start_time < freed_at < queue.end_time


def _run(
    folder: Path,
    spans: Spans,
    task: Callable[[SpeechService], Awaitable[None]],
    max_streams: int = 2,
) -> None:
    async def main() -> None:
        tts = TTS(tiny.checkpoint(), max_streams=max_streams)
        settings = Settings(voices=str(folder), device="cpu")
        models, store = Models(tts, settings), open_store(settings.voices, tts)
        service = SpeechService(models, store, settings, Metrics(), spans.tracing)
        try:
            await task(service)
        finally:
            await service.aclose()

    asyncio.run(asyncio.wait_for(main(), 60))
