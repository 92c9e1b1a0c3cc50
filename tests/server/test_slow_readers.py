"""Clients that do not read their replies: they keep no slot, and are disconnected after a while."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from causerie.server import connections, sockets, wyoming
from causerie.tts import TTS
from tests.patience import PATIENCE_S
from tests.server.running import Running, running
from tests.server.unread import TEXT, connected, http_request, wyoming_request

pytestmark = pytest.mark.slow  # each waits until buffers are full

NUM_SLOTS = 2
STALL_S = 1.0


@pytest.fixture(scope="module")
def tts() -> TTS:
    return TTS.from_pretrained("petit", max_streams=NUM_SLOTS, max_queue=2)


def by_http(server: Running) -> contextlib.AbstractContextManager[Any]:
    return connected(server.port, http_request(server.port))


def by_events(server: Running) -> contextlib.AbstractContextManager[Any]:
    return connected(server.port, http_request(server.port, stream_format="sse"))


@contextlib.contextmanager
def by_websocket(server: Running) -> Iterator[socket.socket]:
    """By hand, as a client library reads ahead."""
    head = (
        f"GET /v1/audio/speech/stream HTTP/1.1\r\nhost: localhost:{server.port}\r\n"
        "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
        "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with connected(server.port, head.encode()) as client:
        received = b""
        while b"\r\n\r\n" not in received:
            received += client.recv(1024)
        assert b" 101 " in received
        for message in (
            {"type": "session.config"},
            {"type": "input.text", "text": TEXT},
            {"type": "input.done"},
        ):
            data = json.dumps(message).encode()
            # A masked text frame whose mask is 0.
            client.sendall(b"\x81\xfe" + len(data).to_bytes(2, "big") + bytes(4) + data)
        yield client


def by_wyoming(server: Running) -> contextlib.AbstractContextManager[Any]:
    assert server.wyoming is not None
    return connected(server.wyoming, wyoming_request())


WAYS = [by_http, by_events, by_websocket, by_wyoming]
Way = Callable[[Running], contextlib.AbstractContextManager[Any]]


def check_speech(server: Running) -> None:
    speech = {"input": "Hello.", "max_duration_s": 0.2}
    answer = httpx.post(f"{server.http}/v1/audio/speech", json=speech, timeout=PATIENCE_S)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("way", WAYS)
def test_replies_that_nobody_reads_keep_no_slot(tts: TTS, tmp_path: Path, way: Way) -> None:
    with running(tmp_path, tts, wyoming=0) as server, contextlib.ExitStack() as stack:
        for _ in range(NUM_SLOTS):
            stack.enter_context(way(server))
        server.wait_for(lambda: server.num_active == NUM_SLOTS)
        server.wait_for(lambda: server.is_idle)  # between two turns, they wait for their clients
        assert server.num_active == NUM_SLOTS
        for _ in range(3):
            check_speech(server)


@pytest.mark.parametrize("way", WAYS)
def test_a_client_that_reads_nothing_is_disconnected(
    tts: TTS,
    tmp_path: Path,
    way: Way,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for module in connections, sockets, wyoming:
        monkeypatch.setattr(module, "STALL_S", STALL_S)
    with running(tmp_path, tts, wyoming=0) as server, way(server):
        server.wait_for(lambda: server.num_active == 1)
        server.wait_for(lambda: server.num_active == 0)
        assert server.is_idle
    assert "read nothing for 1 s" in caplog.text


def test_a_client_that_reads_slowly_gets_everything(
    tts: TTS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads for longer than it may read nothing."""
    monkeypatch.setattr(connections, "STALL_S", STALL_S)
    speech = {"input": TEXT[:700], "response_format": "wav", "seed": 1, "stream": False}
    with running(tmp_path, tts) as server:
        whole = httpx.post(f"{server.http}/v1/audio/speech", json=speech, timeout=PATIENCE_S)
        assert len(whole.content) > 2**20
        with connected(server.port, http_request(server.port, **speech)) as client:
            received = b""
            while len(received) < len(whole.content):
                end = len(received) + 2**18
                while len(received) < min(end, len(whole.content)):
                    received += client.recv(16_384)
                time.sleep(0.6 * STALL_S)
        assert received.endswith(whole.content[-1000:])
