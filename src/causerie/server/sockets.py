"""The common part of the WebSocket protocols: messages, and text that grows while it is spoken.

    async with Socket.open(websocket) as socket:
        while True:
            message = await socket.receive()

If the client disconnects, every call raises `GoneError`, and `Socket.open` ends all tasks that work
for it. A client that does not read delays only its own replies, in `send`, and is disconnected
after `STALL_S`. Knows no protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from pydantic import ConfigDict, ValidationError
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from causerie.server.auth import check_websocket, is_key
from causerie.server.errors import ApiError, from_validation
from causerie.server.json_body import JsonBody
from causerie.server.state import service_of, state_of
from causerie.text.growing import FLUSH, Flush
from causerie.text.surrogates import HalfJoiner

log = logging.getLogger("causerie.server")

#: Characters of a message: room for the longest text, escaped. More where it may hold sound.
MAX_MESSAGE_CHARS = 256 * 1024
#: Seconds within which a client must read a message.
STALL_S = 60.0

Kind = TypeVar("Kind", bound="Message")


class GoneError(Exception):
    """The client has disconnected, or does not read."""


class Message(JsonBody):
    """A message of a client; unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    @classmethod
    def read(cls: type[Kind], message: dict[str, Any]) -> Kind:
        """Parse a message.

        Raises:
            ApiError: a field is invalid.
        """
        try:
            return cls.model_validate(message)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_context=False)
            raise from_validation(errors) from None


class Socket:
    """A WebSocket of JSON and bytes.

    Attributes:
        protocol: a label of the metrics.
    """

    def __init__(self, websocket: WebSocket, protocol: str, max_chars: int) -> None:
        self.service = service_of(websocket)
        self.protocol, self._max_chars = protocol, max_chars
        self._websocket = websocket
        self._sending = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = self._is_stalled = False
        self._put_back: dict[str, Any] | None = None
        main = asyncio.current_task()
        assert main is not None
        self._main = main

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        websocket: WebSocket,
        protocol: str,
        *,
        subprotocol: str | None = None,
        max_chars: int = MAX_MESSAGE_CHARS,
    ) -> AsyncIterator[Socket]:
        """Accept a client, and end all its tasks afterwards."""
        socket = cls(websocket, protocol, max_chars)
        route = getattr(websocket.scope.get("route"), "path", "unknown")
        num_open = socket.service.metrics.sockets.labels(route)
        num_open.inc()
        try:
            await websocket.accept(subprotocol)
            yield socket
        except (GoneError, WebSocketDisconnect):
            pass
        except asyncio.CancelledError:
            if not socket._is_stalled:
                raise
        finally:
            num_open.dec()
            await socket._end_tasks()

    async def receive(self) -> dict[str, Any]:
        """The next message.

        Raises:
            ApiError: it is not a JSON object, or too long; the connection stays usable.
            GoneError: the client disconnected.
        """
        if self._put_back is not None:
            again, self._put_back = self._put_back, None
            return again
        if self._is_closed:
            raise GoneError
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            self._is_closed = True
            raise GoneError
        return _object(message.get("text"), self._max_chars)

    def put_back(self, message: dict[str, Any]) -> None:
        """Let `receive` return a message again."""
        self._put_back = message

    async def send(self, message: dict[str, Any] | bytes) -> None:
        """Send JSON or bytes; returns once there is room for more.

        Raises:
            GoneError: the client disconnected.
        """
        async with self._sending:
            if self._is_closed:
                raise GoneError
            with self._stall_timer():
                try:
                    if isinstance(message, bytes):
                        await self._websocket.send_bytes(message)
                    else:
                        await self._websocket.send_text(json.dumps(message))
                except (WebSocketDisconnect, OSError) as error:
                    self._is_closed = True
                    raise GoneError from error

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End the connection."""
        async with self._sending:
            if self._is_closed:
                return
            self._is_closed = True
            shown = reason.encode(errors="ignore")[:120].decode(
                errors="ignore"
            )  # the protocol allows 123
            with self._stall_timer(), contextlib.suppress(WebSocketDisconnect, OSError):
                await self._websocket.close(code, shown)

    @contextlib.contextmanager
    def _stall_timer(self) -> Iterator[None]:
        """Disconnect the client if this takes too long."""
        timer = asyncio.get_running_loop().call_later(STALL_S, self._disconnect)
        try:
            yield
        finally:
            timer.cancel()

    def _disconnect(self) -> None:
        log.warning("a WebSocket is closed: its client read nothing for %.0f s", STALL_S)
        self._is_stalled = self._is_closed = True
        self._main.cancel()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a task until it or the connection ends."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, GoneError):
            log.error("a task of a WebSocket failed", exc_info=error)

    async def _end_tasks(self) -> None:
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Feed(AsyncIterator[str | Flush]):
    """Text that a client sends while it is being spoken.

    Args:
        max_chars: limit of the whole text.

    Attributes:
        on_wait: called when everything received has been spoken.
        wait_spoken: waits for that, if text is read before its turn comes, as where a reply is
            verified.
        is_begun: whether there was anything to speak.
        is_flushed: whether everything received is spoken without waiting for more.
        is_idle: whether nothing is being spoken, so that more text is awaited.
    """

    def __init__(self, max_chars: int) -> None:
        self.on_wait: Callable[[], Awaitable[None]] | None = None
        self.wait_spoken: Callable[[], Coroutine[Any, Any, object]] | None = None
        self.is_begun = False
        self.is_flushed = self.is_idle = True
        self._max_chars, self._num_chars = max_chars, 0
        self._halves = HalfJoiner()
        self._parts: deque[str | Flush] = deque()
        self._is_ended = self._is_closed = False
        self._changed = asyncio.Event()

    def add(self, text: str) -> None:
        """Append text.

        Raises:
            ApiError: the whole text is too long.
        """
        text = self._halves.add(text)
        if self._is_closed or not text:
            return
        self._num_chars += len(text)
        if self._num_chars > self._max_chars:
            raise ApiError(
                f"the text is longer than {self._max_chars:,} characters, the limit of a reply: "
                f"end it, and begin another",
                code="string_above_max_length",
                param="text",
            )
        self._parts.append(text)
        if text.strip():
            self.is_begun, self.is_flushed = True, False
        self._changed.set()

    def flush(self) -> None:
        """Speak everything received, as if the text ended here."""
        if not self.is_flushed:
            self._parts.append(FLUSH)
            self.is_flushed = True
            self._changed.set()

    def end(self) -> None:
        """End the text."""
        self.is_flushed = self._is_ended = True
        self._changed.set()

    def close(self) -> None:
        """Drop the rest of the text, and ignore further text."""
        self._is_closed = True
        self._parts.clear()
        self.end()

    async def has_text(self) -> bool:
        """Wait until there is something to speak; False if the text ended without."""
        while not self.is_begun and not self._is_ended:
            self._changed.clear()
            await self._changed.wait()
        return self.is_begun

    async def __anext__(self) -> str | Flush:
        """The next part, once it was received."""
        while not self._parts:
            if self._is_ended:
                self.is_idle = False  # the rest is spoken
                raise StopAsyncIteration
            self._changed.clear()
            await self._spoken_or_changed()
            if self._changed.is_set():
                continue
            if self.on_wait is not None:
                await self.on_wait()
            if not self._changed.is_set():
                self.is_idle = True
                await self._changed.wait()
        self.is_idle = False
        return self._parts.popleft()

    async def _spoken_or_changed(self) -> None:
        """Wait until everything received has been spoken, or there is more."""
        if self.wait_spoken is None:
            return
        tasks = [asyncio.ensure_future(self.wait_spoken())]
        tasks.append(asyncio.ensure_future(self._changed.wait()))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()


async def check_key(websocket: WebSocket, *keys: str) -> bool:
    """Whether a client sent a valid key; otherwise refuse it with OpenAI's 401.

    Args:
        keys: those that were sent elsewhere than in headers and query.
    """
    settings = state_of(websocket).settings
    if any(is_key(settings, key) for key in keys):
        return True
    try:
        check_websocket(websocket)
    except ApiError as error:
        await refuse(websocket, service_of(websocket).report(error).response())
        return False
    return True


async def refuse(websocket: WebSocket, response: JSONResponse) -> None:
    """Answer with an HTTP response instead of accepting the WebSocket."""
    with contextlib.suppress(WebSocketDisconnect):
        if "websocket.http.response" in websocket.scope.get("extensions", {}):
            await websocket.send_denial_response(response)
            # uvicorn logs an error if the app returns before the connection is closed.
            await asyncio.sleep(0.02)
        else:
            await websocket.close(1008)


def _object(text: str | None, max_chars: int) -> dict[str, Any]:
    """The JSON object in a message, which must not be too long.

    Raises:
        ApiError: it contains something else.
    """
    if text is None:
        raise ApiError("messages must be text with a JSON object, not binary", code="invalid_json")
    if len(text) > max_chars:
        raise ApiError(
            f"the message has {len(text):,} characters, the limit is {max_chars:,}: send it in "
            f"parts",
            code="message_too_long",
        )
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ApiError(f"the message is not JSON: {reason}", code="invalid_json") from None
    if not isinstance(value, dict):
        raise ApiError("the message must be a JSON object", code="invalid_json")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
