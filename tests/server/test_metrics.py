"""No client can add series to /metrics: labels have only values of the server."""

from __future__ import annotations

import contextlib
import http.client
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import WebSocketException

from causerie.server.request_log import METHODS
from tests.patience import PATIENCE_S
from tests.server.running import Running, receive, running, send

#: The value that stands for what a client invents.
WORDS = ("zebra", "quagga")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("voices"), allow_get=True) as server:
        yield server


def series(server: Running) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """The name and the labels of each series."""
    text = httpx.get(f"{server.http}/metrics").text
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def send_everywhere(server: Running, word: str) -> None:
    """Put a word into every place of a request that a client can choose."""
    speech = {"input": "Hi.", "response_format": "pcm", "max_duration_s": 0.2}
    with httpx.Client(base_url=server.http, timeout=60) as client:
        for method, path in [
            ("GET", f"/{word}"),
            ("GET", f"/v1/{word}"),
            ("GET", f"/v1/v1/{word}"),
            ("GET", f"/page/{word}"),
            ("GET", f"/docs/{word}"),
            ("GET", f"/v1/models/{word}"),
            ("GET", f"/v1/models/{word}/{word}"),
            ("GET", f"/v1/voices/{word}/settings"),
            ("GET", f"/v1/audio/voices/{word}/{word}"),
            ("GET", f"/v1/audio/voices/{word}/preview"),
            ("DELETE", f"/v1/audio/voices/{word}"),
            ("GET", f"/v1/audio/voice_consents/{word}"),
            ("GET", f"/v1/pronunciation-dictionaries/{word}"),
            ("GET", f"/v1/audio/speech.{word}?input=hi"),
            ("GET", f"/v1/audio/speech?input=hi&{word}={word}&response_format={word}"),
            (word.upper(), "/"),
            (word.upper(), "/v1/audio/speech"),
            ("WS", "/v1/audio/speech"),
        ]:
            client.request(method, path)
        for fields in (
            {"model": word}, {"voice": word}, {"response_format": word}, {"stream_format": word},
            {"normalize": word}, {"guard": word}, {"lexicon": word}, {word: word},
            {"ssml": word}, {"input": f"<{word}>Hi.</{word}>"}, {"context": [{word: word}]},
        ):  # fmt: skip
            client.post("/v1/audio/speech", json={**speech, **fields})
        client.post(f"/v1/text-to-speech/{word}", json={"text": "Hi.", "model_id": word})
        client.post(f"/v1/text-to-speech/alloy?output_format={word}", json={"text": "Hi."})
        client.post("/v1/audio/speech", content=word, headers={"content-type": word})
        for headers in (
            {"x-request-id": word}, {"host": f"{word}.example"}, {"origin": f"https://{word}.org"},
            {"accept": word}, {"authorization": f"Bearer {word}"}, {"user-agent": word},
            {"x-forwarded-proto": word}, {"x-forwarded-for": word},
            {"x-http-method-override": word},
        ):  # fmt: skip
            client.get("/v1/models", headers=headers)
            client.post("/v1/audio/speech", json=speech, headers=headers)
    for path in (
        f"/{word}",
        f"/v1/realtime?model={word}",
        f"/v1/realtime/{word}",
        f"/v1/text-to-speech/{word}/stream-input",
        f"/v1/audio/speech/stream?voice={word}&{word}={word}",
    ):
        with contextlib.suppress(WebSocketException), server.connect(path) as socket:
            send(socket, type=word, voice=word)
            receive(socket)
    for header in {"Origin": f"https://{word}.example"}, {"Sec-WebSocket-Protocol": word}:
        with (
            contextlib.suppress(WebSocketException),
            server.connect("/v1/realtime", additional_headers=header),
        ):
            pass
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.putrequest("GET", f"http://{word}.example/{word}", skip_host=True)
    connection.endheaders()
    connection.getresponse().read()
    connection.close()


def test_clients_cannot_add_series(server: Running) -> None:
    found = []
    for word in WORDS:
        send_everywhere(server, word)
        server.wait_for(lambda: server.num_active == 0)
        found.append(series(server))
    assert found[1] == found[0], "the second word made series of its own"
    assert not [labels for _, labels in found[1] if any(word in str(labels) for word in WORDS)]

    values: dict[str, set[str]] = {}
    for _, labels in found[1]:
        for name, value in labels:
            values.setdefault(name, set()).add(value)
    assert {*values} == {
        "code", "ended", "le", "method", "outcome", "protocol", "reason", "route", "state",
        "status",
    }  # fmt: skip
    assert values["method"] <= METHODS | {"WS", "other"}
    assert values["protocol"] <= {"http", "elevenlabs", "vllm_omni", "preview"}
    assert "unknown" in values["route"]
    assert all(re.fullmatch(r"[1-5]\d\d", value) for value in values["status"])
    assert all(re.fullmatch(r"[a-z_]+", value) for value in values["code"])


def test_refusals_are_counted(tmp_path: Path) -> None:
    """Those before a route is found, and those that answer a WebSocket by an HTTP response."""
    with running(tmp_path, api_key="right") as server:
        assert httpx.post(f"{server.http}/v1/audio/speech", json={}).status_code == 401
        assert httpx.request("WS", f"{server.http}/v1/models").status_code == 401, "not a WebSocket"
        with pytest.raises(WebSocketException, match="401"), server.connect("/v1/realtime"):
            pass
        authorization = {"authorization": "Bearer right"}
        expected = {
            'causerie_requests_total{method="other",route="unknown",status="401"} 1.0',
            'causerie_errors_total{code="invalid_api_key"} 3.0',
            'causerie_requests_total{method="POST",route="unknown",status="401"} 1.0',
            'causerie_requests_total{method="WS",route="/v1/realtime",status="401"} 1.0',
        }
        missing = expected
        until = time.monotonic() + PATIENCE_S  # a refusal is counted after it is sent
        while missing and time.monotonic() < until:
            text = httpx.get(f"{server.http}/metrics", headers=authorization).text
            missing = expected - set(text.splitlines())
    assert not missing
