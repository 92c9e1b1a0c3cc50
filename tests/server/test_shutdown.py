"""SIGTERM during a reply: it is completed, new ones are refused, and the process exits with 0."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.patience import PATIENCE_S
from tests.server.process import Served, served
from tests.server.unread import connected, http_request, wyoming_request

#: About 12 s of speech, which takes a second or more to generate.
TEXT = "We go down to the river, and we cross the bridge as long as it stands. " * 3
SPEECH = {"input": TEXT, "response_format": "pcm", "seed": 1}


def _begin_shutdown(server: Served) -> None:
    """Send SIGTERM, and wait until the server has noticed it."""
    server.terminate()
    for _ in range(200):
        if httpx.get(f"{server.url}/ready").status_code == 503:
            return
        time.sleep(0.01)
    raise AssertionError("the server ignored SIGTERM")


@pytest.mark.slow
def test_a_reply_is_completed_and_new_ones_are_refused(tmp_path: Path) -> None:
    grace = ("--grace-s", str(PATIENCE_S))
    with served(tmp_path, *grace) as server, httpx.Client(base_url=server.url) as client:
        whole = client.post("/v1/audio/speech", json=SPEECH).content
        with client.stream("POST", "/v1/audio/speech", json=SPEECH) as response:
            chunks = response.iter_bytes()
            received = next(chunks)
            assert len(received) < len(whole) / 2, "the reply ended too early"
            _begin_shutdown(server)
            ready = httpx.get(f"{server.url}/ready")
            assert ready.json()["status"] == "shutting down"
            late = httpx.post(f"{server.url}/v1/audio/speech", json={"input": "Hello."})
            assert late.status_code == 503
            assert late.json()["error"]["code"] == "shutting_down"
            assert int(late.headers["retry-after"]) >= 1
            assert httpx.get(f"{server.url}/health").status_code == 200
            received += b"".join(chunks)
        assert received == whole
        assert server.process.wait(PATIENCE_S) == 0
        assert "Traceback" not in server.log


@pytest.mark.slow
def test_a_reply_is_cut_off_after_the_grace_period(tmp_path: Path) -> None:
    speech = {**SPEECH, "input": TEXT * 16}
    with (
        served(tmp_path, "--grace-s", "0.3") as server,
        httpx.stream("POST", f"{server.url}/v1/audio/speech", json=speech) as response,
    ):
        chunks = response.iter_bytes()
        next(chunks)
        server.terminate()
        started = time.monotonic()
        with pytest.raises(httpx.RemoteProtocolError):
            sum(map(len, chunks))
        assert server.process.wait(PATIENCE_S) == 0
        assert time.monotonic() - started < 5
        assert "Traceback" not in server.log


@pytest.mark.slow
def test_without_replies_the_server_exits_at_once(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        started = time.monotonic()
        server.terminate()
        assert server.process.wait(PATIENCE_S) == 0
        assert time.monotonic() - started < 3


@pytest.mark.slow
@pytest.mark.parametrize("is_wyoming", [False, True])
def test_a_client_that_reads_nothing_does_not_delay_the_exit(
    tmp_path: Path, is_wyoming: bool
) -> None:
    with served(tmp_path, "--grace-s", "0", "--wyoming", "0") as server:
        port = urlsplit(server.url).port
        assert port is not None
        data = wyoming_request() if is_wyoming else http_request(port)
        with connected(server.wyoming if is_wyoming else port, data):
            _wait_until_unread(server)
            server.terminate()
            started = time.monotonic()
            assert server.process.wait(PATIENCE_S) == 0
            assert time.monotonic() - started < 4  # uvicorn alone: 6.5 s, and Wyoming for ever
        assert "Traceback" not in server.log


def _wait_until_unread(server: Served) -> None:
    """Wait until a reply has begun, and has no slot any more: it waits for its client."""
    ends_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_at:
        gauges = dict(
            line.rsplit(" ", 1) for line in httpx.get(f"{server.url}/metrics").text.splitlines()
        )
        if float(gauges["causerie_active_streams"]) and not float(gauges["causerie_slots_active"]):
            return
        time.sleep(0.1)
    raise AssertionError("the reply does not wait for its client")
