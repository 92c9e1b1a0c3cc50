"""Runs the app by uvicorn: prints its addresses, and finishes replies before it exits.

After the first SIGINT or SIGTERM the server refuses new speech with 503, and `/ready` does too, but
it still answers. The process exits when all replies have ended or the grace period is over. A
second signal exits at once.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from causerie.errors import ConfigError
from causerie.server.app import CLOSE_S, create_app
from causerie.server.connections import (
    BACKLOG,
    KEEP_ALIVE_S,
    AcceptErrors,
    Connection,
    max_connections,
)
from causerie.server.request_log import JsonLines, TextLines
from causerie.server.settings import Settings
from causerie.server.state import ServerState, state_of

#: Seconds between two checks of the state.
LOOK_S = 0.05
#: Seconds for replies that are cut off to report it to their clients.
CUT_OFF_S = 1.0
#: Bytes of a WebSocket's message: the longest of all protocols, which have limits of their own.
MAX_MESSAGE_BYTES = 21 * 2**20


def run(settings: Settings, echo: Callable[[str], None]) -> None:
    """Serve until a signal comes.

    Args:
        echo: prints the addresses.

    Raises:
        ConfigError: the address cannot be listened on.
        CauserieError: the model cannot be loaded.
    """
    log_by(settings)
    listener = _listen(settings.host, settings.port)
    app = create_app(settings)
    state = state_of(app)
    server = _Server(
        uvicorn.Config(
            app,
            http=Connection,
            log_config=None,
            access_log=False,
            backlog=BACKLOG,
            limit_concurrency=max_connections(),
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=CLOSE_S,
            ws_max_size=MAX_MESSAGE_BYTES,
            server_header=False,
        ),
        state,
        lambda: echo(banner(state, listener.getsockname()[1])),
    )
    asyncio.run(server.serve(sockets=[listener]))
    if state.failure is not None:
        raise state.failure


def log_by(settings: Settings) -> None:
    """Write the log to stderr, one line per event."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if settings.log_format == "json" else TextLines())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    uvicorn_log = logging.getLogger("uvicorn.error")
    uvicorn_log.setLevel(logging.WARNING)
    uvicorn_log.addFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    """Log text frames that are not UTF-8, which clients may send, in one line."""
    if record.exc_info and isinstance(record.exc_info[1], UnicodeDecodeError):
        record.exc_info = None
    return True


def banner(state: ServerState, port: int) -> str:
    """The addresses to open, and a command to try."""
    settings = state.settings
    host = settings.host if settings.is_loopback else socket.gethostname()
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    key = "a key is needed" if settings.api_key else "no key"
    lines = [
        f"  Web page    {url}",
        f"  OpenAI API  {url}/v1   ({key}{': this machine only' if settings.is_loopback else ''})",
        f"  Docs        {url}/docs   Metrics /metrics   Ready /ready",
    ]
    if state.wyoming is not None:
        lines.append(f"  Wyoming     tcp://{settings.wyoming_host}:{state.wyoming.port}")
    header = " -H 'authorization: Bearer KEY'" if settings.api_key else ""
    lines.append(
        f'  Try         curl {url}/v1/audio/speech -d \'{{"input":"Hi"}}\''
        f" -H 'content-type: application/json'{header} -o hi.mp3"
    )
    return "\n".join(lines)


class _Server(uvicorn.Server):
    """uvicorn's server, which still answers while replies finish."""

    def __init__(
        self, config: uvicorn.Config, state: ServerState, on_ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._state, self._on_ready = state, on_ready
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_draining = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(AcceptErrors())
        await super().startup(sockets)
        self._begin(self._announce())

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal and exit at the second."""
        if self._is_draining or self._loop is None:
            self.stop()
            self.force_exit = sig == signal.SIGINT
            return
        self._is_draining = True
        self._loop.call_soon_threadsafe(lambda: self._begin(self._drain()))

    def stop(self) -> None:
        """Exit without waiting."""
        self.should_exit = True

    def _begin(self, coroutine: object) -> None:
        task = asyncio.ensure_future(coroutine)  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _announce(self) -> None:
        while self._state.service is None:
            if self._state.failure is not None:
                self.stop()
            if self.should_exit:
                return
            await asyncio.sleep(LOOK_S)
        gc.collect()
        gc.freeze()  # later collections stop all streams, but skip the model: 200 ms become 10
        self._on_ready()

    async def _drain(self) -> None:
        service = self._state.service
        if service is not None:
            service.is_closing = True
            await self._until_silent(self._state.settings.grace_s)
            await service.aclose()  # cuts off the replies that are left
            await self._until_silent(CUT_OFF_S)
        for connection in self.server_state.connections:
            if connection.transport.get_write_buffer_size():  # uvicorn would wait for the client
                connection.transport.abort()
        self.stop()

    async def _until_silent(self, seconds: float) -> None:
        """Wait for all replies to end, for at most this long."""
        metrics, ends_at = self._state.metrics, time.monotonic() + seconds
        while metrics.num_active and time.monotonic() < ends_at:
            await asyncio.sleep(LOOK_S)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
        # Else the end of each answer waits for the client's acknowledgement of its head: 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"cannot listen on {host}, port {port}: {reason}; give another --port or --host"
        ) from error
