"""Limits on connections: how many there are, and how long each may take to send a request.

The number is bounded by the file descriptors of the process. When it is reached, a new connection
closes the one that has been idle the longest, or else has been sending a body, so that idle and
slow clients never lock out others.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import sys
import time
from typing import TYPE_CHECKING, Any

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as HTTPProtocol
else:  # httptools if it is installed, else h11; both have the attributes used here
    from uvicorn.protocols.http.auto import AutoHTTPProtocol as HTTPProtocol

log = logging.getLogger("causerie.server")

#: Seconds for the complete head of a request, and between two parts of its body.
HEAD_S, BODY_S = 10.0, 30.0
#: Seconds within which a client must read something. Long, as a player may be paused.
STALL_S = 300.0
#: Seconds that an idle connection stays open after a reply. Clients' pools give up before that.
KEEP_ALIVE_S = 75
#: Connections accepted at once, before any can be closed.
BACKLOG = 128
#: File descriptors for everything else: models, voices, threads, Wyoming.
RESERVED_FILES = 128
#: Descriptors to request, and a bound where the system has no limit.
MAX_FILES = 65_536
MAX_CONNECTIONS = 8_192
#: Seconds between two log lines about connections that could not be accepted.
LOG_S = 10.0
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def max_connections() -> int:
    """The number of connections to allow, after raising the limit of file descriptors."""
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(BACKLOG + 16, min(MAX_CONNECTIONS, soft - RESERVED_FILES))


class Connection(HTTPProtocol):
    """uvicorn's connection, closed when a client is too slow or its place is needed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._timer: asyncio.TimerHandle | None = None
        self._is_head_timed = False
        self._stall_timer: asyncio.TimerHandle | None = None
        self.idle_since = time.monotonic()

    @property
    def is_idle(self) -> bool:
        """Whether no request is in progress."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def is_waiting(self) -> bool:
        """Whether the client has not sent a complete request."""
        return self.is_idle or self.cycle.more_body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio."""
        # Below uvicorn's limit, which also counts the tasks of requests: those end a little later.
        if self.limit_concurrency and len(self.connections) > self.limit_concurrency - BACKLOG:
            _close_one(self.connections)
        super().connection_made(transport)
        self._time_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._stop_timer()
        self._stop_stall_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            self._stop_timer()  # a WebSocket has limits of its own
        elif self.is_idle:
            if not self._is_head_timed:  # of the next request on a kept-alive connection
                self._time_head()
        elif self.cycle.more_body:
            self._time_body()
        else:
            self._stop_timer()

    def on_response_complete(self) -> None:
        """See uvicorn."""
        self._stop_timer()
        self.idle_since = time.monotonic()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """See asyncio: the client does not read as fast as the server sends."""
        super().pause_writing()
        self._time_stall()

    def resume_writing(self) -> None:
        """See asyncio."""
        self._stop_stall_timer()
        super().resume_writing()

    def _time_stall(self) -> None:
        self._stop_stall_timer()
        num_unread = self.transport.get_write_buffer_size()
        self._stall_timer = self.loop.call_later(STALL_S, self._end_stalled, num_unread)

    def _end_stalled(self, num_unread: int) -> None:
        if self.transport.get_write_buffer_size() < num_unread:  # it reads, but slowly
            self._time_stall()
            return
        log.warning("a connection is closed: its client read nothing for %.0f s", STALL_S)
        self.transport.abort()  # `close` would wait for the client

    def _stop_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _time_head(self) -> None:
        self._stop_timer()
        self._is_head_timed = True
        self._timer = self.loop.call_later(HEAD_S, self.transport.close)

    def _time_body(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(BODY_S, self._end_slow_body)

    def _end_slow_body(self) -> None:
        if self.flow.read_paused:  # the app is slow, not the client
            self._time_body()
        else:
            self.transport.close()

    def _stop_timer(self) -> None:
        self._is_head_timed = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _close_one(connections: set[Any]) -> None:
    """Close the connection that has been idle the longest, or else has sent a body the longest."""
    waiting = [one for one in connections if isinstance(one, Connection) and one.is_waiting]
    first = min(waiting, key=lambda one: (not one.is_idle, one.idle_since), default=None)
    if first is not None:
        connections.discard(first)  # its place is free now, not when the loop gets to it
        first.transport.abort()


class AcceptErrors:
    """An exception handler of asyncio that logs failed accepts in one line every `LOG_S`."""

    def __init__(self) -> None:
        self._num_failed, self._logged_at = 0, -LOG_S

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """See `asyncio.loop.set_exception_handler`."""
        error = context.get("exception")
        if "socket" not in context or getattr(error, "errno", None) not in _EXHAUSTED:
            loop.default_exception_handler(context)
            return
        self._num_failed += 1
        if loop.time() - self._logged_at >= LOG_S:
            log.error(
                "%d connections could not be accepted: %s; raise the limit of open files (ulimit "
                "-n, LimitNOFILE)",
                self._num_failed,
                error,
            )
            self._num_failed, self._logged_at = 0, loop.time()
