"""A real server, with uvicorn, in a thread of the tests."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn
from websockets.sync.client import ClientConnection, connect

from causerie.checkpoint.load import Checkpoint
from causerie.server.app import create_app
from causerie.server.connections import Connection
from causerie.server.settings import Settings
from causerie.server.state import state_of
from causerie.tts import TTS
from tests.patience import PATIENCE_S

if TYPE_CHECKING:
    from causerie.server.spans import Tracing

ACTIVE = "causerie_active_streams "


@functools.cache
def petit(**options: Any) -> TTS:
    """The bundled model with few slots, shared by the tests that want the same options."""
    return TTS.from_pretrained("petit", max_streams=3, max_queue=2, **options)


def that_hears(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint as one that hears other speakers, and 40 s of a conversation."""
    defaults = dataclasses.replace(checkpoint.defaults, hears_others=True, context_s=40.0)
    return dataclasses.replace(checkpoint, defaults=defaults)


class Running:
    """A server and its address."""

    def __init__(self, tts: TTS, port: int, wyoming: int | None = None) -> None:
        self.tts, self.port, self.wyoming = tts, port, wyoming
        self.base = f"ws://127.0.0.1:{port}"
        self.http = f"http://127.0.0.1:{port}"

    def connect(self, path: str, **options: Any) -> ClientConnection:
        """Open a WebSocket."""
        options = {
            "open_timeout": PATIENCE_S,
            "close_timeout": PATIENCE_S,
            "max_size": None,
            **options,
        }
        return connect(self.base + path, **options)

    def wait_for(self, condition: Callable[[], bool], seconds: float = PATIENCE_S) -> float:
        """Wait for a condition; returns the seconds it took."""
        started = time.monotonic()
        while not condition():
            assert time.monotonic() - started < seconds, "the condition was never met"
            time.sleep(0.002)
        return time.monotonic() - started

    @property
    def is_idle(self) -> bool:
        """Whether no slot is taken and no request waits."""
        stats = self.tts.engine.stats()
        return stats.active == stats.waiting == 0

    @property
    def num_cancelled(self) -> int:
        """Requests that were cancelled so far."""
        return self.tts.engine.stats().done["cancelled"]

    @contextlib.contextmanager
    def cancels(self) -> Iterator[None]:
        """Check that the block cancels the request that is in progress."""
        before = self.num_cancelled
        assert not self.is_idle
        yield
        self.wait_for_cancellation(before)

    def wait_for_cancellation(self, before: int) -> None:
        """Wait until all slots are free; a request must have been cancelled, not completed.

        Args:
            before: `num_cancelled` earlier.
        """
        self.wait_for(lambda: self.is_idle and self.num_active == 0)
        assert self.num_cancelled > before, "the reply was generated to its end"

    @property
    def num_active(self) -> int:
        """Replies that have not ended. Between two turns a reply has no slot."""
        metrics = httpx.get(f"{self.http}/metrics").text
        (line,) = [line for line in metrics.splitlines() if line.startswith(ACTIVE)]
        return int(float(line.split()[1]))


@contextlib.contextmanager
def running(
    voices: Path, tts: TTS | None = None, *, tracing: Tracing | None = None, **settings: Any
) -> Iterator[Running]:
    """Serve until the block ends; then no slot may be taken, and no error logged.

    By default without a recognizer, which takes seconds for each recording.
    """
    tts = tts or petit()
    settings = {"transcribe": "off", **settings}
    app = create_app(Settings(voices=str(voices), **settings), tts=tts, tracing=tracing)
    config = uvicorn.Config(
        app,
        http=Connection,
        port=0,
        log_level="warning",
        lifespan="on",
        ws_ping_interval=None,
        log_config=None,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    errors = ErrorLog()
    with errors:
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                time.sleep(0.005)
            wyoming = state_of(app).wyoming
            port = server.servers[0].sockets[0].getsockname()[1]
            here = Running(tts, port, None if wyoming is None else wyoming.port)
            yield here
            here.wait_for(lambda: here.is_idle)
        finally:
            server.should_exit = True
            thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert not errors.lines


class ErrorLog(logging.Handler):
    """Collects the errors that are logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(logging.Formatter().format(record))

    def __enter__(self) -> ErrorLog:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)


def send(socket: ClientConnection, **message: Any) -> None:
    """Send JSON."""
    socket.send(json.dumps(message))


def receive(socket: ClientConnection) -> dict[str, Any]:
    """The next JSON message."""
    data = socket.recv(timeout=PATIENCE_S)
    assert isinstance(data, str), "expected JSON, got bytes"
    return json.loads(data)
