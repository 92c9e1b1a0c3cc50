"""A server goes on answering while many clients are idle, slow or not there any more."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from causerie.server import connections
from causerie.server.connections import AcceptErrors
from tests.patience import PATIENCE_S
from tests.server.process import Served, served

pytestmark = pytest.mark.slow  # each starts a server, or sends it megabytes

HALF_A_POST = b"POST /v1/audio/speech HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{"
HEALTH = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"


def connect(server: Served) -> socket.socket:
    parts = urlsplit(server.url)
    assert parts.hostname is not None
    return socket.create_connection((parts.hostname, parts.port), PATIENCE_S)


def is_healthy(client: socket.socket) -> bool:
    """Whether the server answers one more request of a connection."""
    client.sendall(HEALTH)
    answer = b""
    while not answer.endswith(b"}"):
        answer += (received := client.recv(4096))
        assert received, "the connection was closed"
    return answer.startswith(b"HTTP/1.1 200")


def is_closed(client: socket.socket, seconds: float) -> bool:
    """Whether the server closes a connection within this time."""
    client.settimeout(seconds)
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def test_answers_on_kept_alive_connections_come_at_once(tmp_path: Path) -> None:
    with served(tmp_path) as server, httpx.Client(base_url=server.url) as client:
        client.get("/health")
        times = []
        for _ in range(21):
            started = time.perf_counter()
            client.get("/health")
            times.append(time.perf_counter() - started)
    assert statistics.median(times) < 0.025, times  # 0.044 without TCP_NODELAY


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
@pytest.mark.parametrize("sent", [b"", HALF_A_POST], ids=["idle", "slow"])
def test_idle_connections_do_not_lock_others_out(tmp_path: Path, sent: bytes) -> None:
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 1300:
        pytest.skip("this process may not open 1,300 connections")
    limited = ["bash", "-c", 'ulimit -n 1024; exec "$@"', "-"]
    with served(tmp_path, under=limited) as server, contextlib.ExitStack() as stack:
        for _ in range(1100):
            client = stack.enter_context(connect(server))
            with contextlib.suppress(OSError):
                client.sendall(sent)
        for _ in range(3):
            assert httpx.get(f"{server.url}/health", timeout=PATIENCE_S).status_code == 200
        speech = {"input": "Hello.", "max_duration_s": 0.2}
        url = f"{server.url}/v1/audio/speech"
        assert httpx.post(url, json=speech, timeout=PATIENCE_S).status_code == 200
        assert len(server.log) < 5000


def test_the_limit_of_files_is_raised() -> None:
    code = (
        "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (600, 900));"
        "from causerie.server.connections import max_connections;"
        "print(max_connections(), r.getrlimit(r.RLIMIT_NOFILE)[0])"
    )
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert output.split() == ["772", "900"]


@pytest.fixture
def quick(tmp_path: Path) -> list[str]:
    """A command that serves with short limits."""
    code = (
        "import sys; from causerie.server import connections as c;"
        "c.HEAD_S, c.BODY_S = 0.5, 1.0;"
        "from causerie.cli import main; sys.argv[1:] = sys.argv[4:]; main()"
    )
    return [sys.executable, "-c", code]


def test_slow_clients_are_closed(tmp_path: Path, quick: list[str]) -> None:
    post = b"POST /v1/audio/speech HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n"
    with served(tmp_path, under=quick) as server:
        for sent in b"", b"GET /hea", HEALTH[:-2], post, post + b'{"input":':
            with connect(server) as client:
                client.sendall(sent)
                assert is_closed(client, PATIENCE_S), sent
        with connect(server) as client:  # the next request of a connection that was used
            assert is_healthy(client)
            time.sleep(0.7)
            assert is_healthy(client)
            client.sendall(HEALTH[:10])
            assert is_closed(client, PATIENCE_S)
        with connect(server) as client:  # one byte now and then does not extend the head's time
            started = time.monotonic()
            with contextlib.suppress(OSError):
                for byte in HEALTH[:40]:
                    client.sendall(bytes([byte]))
                    time.sleep(0.1)
            assert time.monotonic() - started < 3
            assert is_closed(client, PATIENCE_S)
        with connect(server) as client:  # a body in parts may take longer than its limit
            body = b'{"input": "Hello.", "max_duration_s": 0.2, "response_format": "pcm"}'
            client.sendall(
                post.replace(b"100", b"%d" % len(body)).replace(
                    b"\r\n\r\n", b"\r\ncontent-type: application/json\r\n\r\n"
                )
            )
            for start in range(0, len(body), 20):
                time.sleep(0.4)
                client.sendall(body[start : start + 20])
            client.settimeout(PATIENCE_S)
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
        assert "Traceback" not in server.log


def test_failed_accepts_are_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OSError(errno.EMFILE, "Too many open files")
    context = {"message": "socket.accept() out of system resource", "exception": error}

    async def fail(times: int) -> None:
        loop = asyncio.get_running_loop()
        handler = AcceptErrors()
        for _ in range(times):
            handler(loop, {**context, "socket": object()})

    with caplog.at_level(logging.ERROR):
        asyncio.run(fail(1000))
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "raise the limit of open files" in caplog.text
    monkeypatch.setattr(connections, "LOG_S", 0.0)
    caplog.clear()
    asyncio.run(fail(3))
    assert len(caplog.records) == 3


def test_other_errors_of_the_loop_are_logged_as_usual(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        loop = asyncio.get_running_loop()
        AcceptErrors()(loop, {"message": "made up", "exception": ValueError("made up")})

    asyncio.run(fail())
    assert "made up" in caplog.text


def test_frames_that_are_no_text_are_logged_in_a_line(tmp_path: Path) -> None:
    head = (
        b"GET /v1/audio/speech/stream HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n"
        b"upgrade: websocket\r\nsec-websocket-version: 13\r\n"
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with served(tmp_path) as server, connect(server) as client:
        client.settimeout(PATIENCE_S)
        client.sendall(head)
        answer = client.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101")
        client.sendall(b"\x81\x82\0\0\0\0\xff\xfe")  # a text frame of two bytes, masked by zeros
        while received := client.recv(4096):
            answer += received
            if answer.endswith(b"\x03\xef"):  # the close code 1007
                break
        else:
            pytest.fail("the connection was closed without its reason")
        assert "Traceback" not in server.log
        assert "UTF-8" in server.log
