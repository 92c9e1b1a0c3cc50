"""A server as it really runs, uvicorn and all, in a thread of the tests."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from websockets.sync.client import ClientConnection, connect

from causerie.server.app import create_app
from causerie.server.settings import Settings
from causerie.tts import TTS

#: Seconds after which a test that waits for a message has failed.
PATIENCE_S = 30.0
ACTIVE = "causerie_active_streams "
#: A slot shall be free within a frame, 0.08 s; the rest is for machines that do other things too.
SOON_S = 0.5


@functools.cache
def petit() -> TTS:
    """The shipped model with few slots, for all tests."""
    return TTS.from_pretrained("petit", max_streams=3, max_queue=2)


class Running:
    """A server and its address."""

    def __init__(self, tts: TTS, port: int) -> None:
        self.tts, self.port = tts, port
        self.base = f"ws://127.0.0.1:{port}"
        self.http = f"http://127.0.0.1:{port}"

    def connect(self, path: str, **how: Any) -> ClientConnection:
        """A WebSocket to a path."""
        how = {"open_timeout": PATIENCE_S, "close_timeout": 5, "max_size": None, **how}
        return connect(self.base + path, **how)

    def wait_for(self, what: Callable[[], bool], seconds: float = PATIENCE_S) -> float:
        """Seconds until something is so."""
        started = time.monotonic()
        while not what():
            assert time.monotonic() - started < seconds, "it did not come to be"
            time.sleep(0.002)
        return time.monotonic() - started

    @property
    def is_silent(self) -> bool:
        """Whether no slot is taken and nobody waits."""
        stats = self.tts.engine.stats()
        return stats.active == stats.waiting == 0

    @property
    def num_active(self) -> int:
        """Replies that are not over; one that waits for its listener has no slot between turns."""
        numbers = httpx.get(f"{self.http}/metrics").text
        (line,) = [line for line in numbers.splitlines() if line.startswith(ACTIVE)]
        return int(float(line.split()[1]))


@contextlib.contextmanager
def running(voices: Path, tts: TTS | None = None, **settings: Any) -> Iterator[Running]:
    """Serve until the block ends; then no slot may be taken, and nothing may have failed."""
    tts = tts or petit()
    app = create_app(Settings(voices=str(voices), **settings), tts=tts)
    config = uvicorn.Config(
        app, port=0, log_level="warning", lifespan="on", ws_ping_interval=None, log_config=None
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    failures = Failures()
    with failures:
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                time.sleep(0.005)
            here = Running(tts, server.servers[0].sockets[0].getsockname()[1])
            yield here
            here.wait_for(lambda: here.is_silent, 10)
        finally:
            server.should_exit = True
            thread.join(20)
        assert not thread.is_alive()
    assert not failures.told


class Failures(logging.Handler):
    """What was logged as an error meanwhile."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(logging.Formatter().format(record))

    def __enter__(self) -> Failures:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)


def send(socket: ClientConnection, **message: Any) -> None:
    """Send JSON."""
    socket.send(json.dumps(message))


def receive(socket: ClientConnection) -> dict[str, Any]:
    """The next JSON."""
    data = socket.recv(timeout=PATIENCE_S)
    assert isinstance(data, str), "bytes came"
    return json.loads(data)
