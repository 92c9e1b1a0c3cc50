"""SIGTERM while somebody listens: the reply ends whole, nobody new begins, the process exits 0."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from tests.server.process import Served, served

#: About 20 s of speech, which takes a few seconds to make.
TEXT = "We go down to the river, and we cross the bridge as long as it stands. " * 5
SPEECH = {"input": TEXT, "response_format": "pcm", "seed": 1}


def _stopped(server: Served) -> None:
    """Ask it to end, and wait until it has heard."""
    server.ask_to_end()
    for _ in range(200):
        if httpx.get(f"{server.url}/ready").status_code == 503:
            return
        time.sleep(0.01)
    raise AssertionError("it goes on as if nothing were")


def test_a_reply_ends_whole_and_nobody_new_begins(tmp_path: Path) -> None:
    with served(tmp_path) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        whole = client.post("/v1/audio/speech", json=SPEECH).content
        with client.stream("POST", "/v1/audio/speech", json=SPEECH) as response:
            chunks = response.iter_bytes()
            heard = next(chunks)
            assert len(heard) < len(whole) / 2, "it is over before it can be interrupted"
            _stopped(server)
            ready = httpx.get(f"{server.url}/ready")
            assert ready.json()["status"] == "shutting down"
            late = httpx.post(f"{server.url}/v1/audio/speech", json={"input": "Hello."})
            assert late.status_code == 503
            assert late.json()["error"]["code"] == "shutting_down"
            assert int(late.headers["retry-after"]) >= 1
            assert httpx.get(f"{server.url}/health").status_code == 200
            heard += b"".join(chunks)
        assert heard == whole
        assert server.process.wait(10) == 0
        assert "Traceback" not in server.log


def test_a_reply_that_takes_too_long_is_broken_off(tmp_path: Path) -> None:
    speech = {**SPEECH, "input": TEXT * 10}
    with (
        served(tmp_path, "--grace-s", "0.3") as server,
        httpx.stream("POST", f"{server.url}/v1/audio/speech", json=speech) as response,
    ):
        chunks = response.iter_bytes()
        next(chunks)
        server.ask_to_end()
        started = time.monotonic()
        with pytest.raises(httpx.RemoteProtocolError):
            sum(map(len, chunks))
        assert server.process.wait(10) == 0
        assert time.monotonic() - started < 5
        assert "Traceback" not in server.log


def test_without_replies_it_ends_at_once(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        started = time.monotonic()
        server.ask_to_end()
        assert server.process.wait(10) == 0
        assert time.monotonic() - started < 3
