"""What the WebSocket protocols share: messages in and out, and text that grows while it is spoken.

    async with Socket.open(websocket) as socket:
        while True:
            message = await socket.receive()

A client that is gone is told of by `GoneError` wherever it is met; `Socket.open` ends all tasks
that speak for it then. One that does not read holds up its own replies alone, by `send`, and is
given up after `STALL_S`. Knows no protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from causerie.server.auth import check_websocket, is_key
from causerie.server.errors import ApiError, from_validation
from causerie.server.state import service_of, state_of
from causerie.text.growing import FLUSH, Flush

log = logging.getLogger("causerie.server")

#: Of one message, in characters: the longest text, escaped.
MAX_MESSAGE = 256 * 1024
#: Seconds that a client may take to read one message.
STALL_S = 60.0

Kind = TypeVar("Kind", bound="Message")


class GoneError(Exception):
    """The client is not there any more, or does not listen."""


class Message(BaseModel):
    """A message of a client; fields that it does not know are ignored."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    @classmethod
    def read(cls: type[Kind], message: dict[str, Any]) -> Kind:
        """The fields that are known.

        Raises:
            ApiError: one of them is wrong.
        """
        try:
            return cls.model_validate(message)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_context=False)
            raise from_validation(errors) from None


class Socket:
    """A WebSocket of JSON and bytes.

    Attributes:
        service: who speaks.
        protocol: what to call it where replies are counted.
    """

    def __init__(self, websocket: WebSocket, protocol: str) -> None:
        self.service = service_of(websocket)
        self.protocol = protocol
        self._websocket = websocket
        self._sending = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = self._is_stalled = False
        self._kept: dict[str, Any] | None = None
        main = asyncio.current_task()
        assert main is not None
        self._main = main

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, websocket: WebSocket, protocol: str, *, subprotocol: str | None = None
    ) -> AsyncIterator[Socket]:
        """Accept a client; leave nothing behind that speaks for it."""
        socket = cls(websocket, protocol)
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
            ApiError: it is no JSON object, or too long; the next one may be better.
            GoneError: there is no next one.
        """
        if self._kept is not None:
            kept, self._kept = self._kept, None
            return kept
        if self._is_closed:
            raise GoneError
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            self._is_closed = True
            raise GoneError
        return _object(message.get("text"))

    def put_back(self, message: dict[str, Any]) -> None:
        """Let `receive` give a message once more."""
        self._kept = message

    async def send(self, message: dict[str, Any] | bytes) -> None:
        """Send JSON or bytes; returns once the client has room for more.

        Raises:
            GoneError: it is gone.
        """
        async with self._sending:
            if self._is_closed:
                raise GoneError
            with self._in_time():
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
            shown = reason.encode(errors="ignore")[:120].decode(errors="ignore")  # of at most 123
            with self._in_time(), contextlib.suppress(WebSocketDisconnect, OSError):
                await self._websocket.close(code, shown)

    @contextlib.contextmanager
    def _in_time(self) -> Iterator[None]:
        """Give the client up where it takes too long to read."""
        timer = asyncio.get_running_loop().call_later(STALL_S, self._give_up)
        try:
            yield
        finally:
            timer.cancel()

    def _give_up(self) -> None:
        log.warning("a WebSocket is given up: its client read nothing for %.0f s", STALL_S)
        self._is_stalled = self._is_closed = True
        self._main.cancel()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let something go on beside, until it or the connection ends."""
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
        max_chars: of all of it.

    Attributes:
        on_wait: called when all that came is spoken, and more is waited for.
        is_begun: whether there was anything to speak.
        is_flushed: whether all that came is to be spoken without waiting for more.
        is_idle: whether nothing is being spoken: more is waited for.
    """

    def __init__(self, max_chars: int) -> None:
        self.on_wait: Callable[[], Awaitable[None]] | None = None
        self.is_begun = False
        self.is_flushed = self.is_idle = True
        self._max_chars, self._num_chars = max_chars, 0
        self._half = ""
        self._parts: deque[str | Flush] = deque()
        self._is_ended = self._is_closed = False
        self._changed = asyncio.Event()

    def add(self, text: str) -> None:
        """Let the text go on.

        Raises:
            ApiError: all in all it is too long.
        """
        text, self._half = self._half + text, ""
        if "\ud800" <= text[-1:] <= "\udbff":  # the other half of it is yet to come
            text, self._half = text[:-1], text[-1]
        text = well_formed(text)
        if self._is_closed or not text:
            return
        self._num_chars += len(text)
        if self._num_chars > self._max_chars:
            raise ApiError(
                f"the text is longer than the {self._max_chars:,} characters that one reply may "
                f"have: end it, and begin another",
                code="string_above_max_length",
                param="text",
            )
        self._parts.append(text)
        if text.strip():
            self.is_begun, self.is_flushed = True, False
        self._changed.set()

    def flush(self) -> None:
        """Speak all that came, as if it ended here."""
        if not self.is_flushed:
            self._parts.append(FLUSH)
            self.is_flushed = True
            self._changed.set()

    def end(self) -> None:
        """Nothing comes after."""
        self.is_flushed = self._is_ended = True
        self._changed.set()

    def close(self) -> None:
        """Drop what is left, and what comes."""
        self._is_closed = True
        self._parts.clear()
        self.end()

    async def has_text(self) -> bool:
        """Wait until there is something to speak; False where the text ended without."""
        while not self.is_begun and not self._is_ended:
            self._changed.clear()
            await self._changed.wait()
        return self.is_begun

    async def __anext__(self) -> str | Flush:
        """The next part, as soon as it is there."""
        while not self._parts:
            if self._is_ended:
                self.is_idle = False  # what is left is spoken
                raise StopAsyncIteration
            self._changed.clear()
            if self.on_wait is not None:
                await self.on_wait()
            if not self._changed.is_set():
                self.is_idle = True
                await self._changed.wait()
        self.is_idle = False
        return self._parts.popleft()


def well_formed(text: str) -> str:
    """Text whose surrogates, which JSON can carry, are joined, or replaced where they are alone."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


async def check_key(websocket: WebSocket, *keys: str) -> bool:
    """Whether a client has a right key; else it has been refused, by HTTP and in OpenAI's shape.

    Args:
        keys: that it sent elsewhere than in its headers and its query.
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
    """Answer by HTTP in place of a WebSocket."""
    with contextlib.suppress(WebSocketDisconnect):
        if "websocket.http.response" in websocket.scope.get("extensions", {}):
            await websocket.send_denial_response(response)
            # uvicorn logs an error where an app returns before the connection is down.
            await asyncio.sleep(0.02)
        else:
            await websocket.close(1008)


def _object(text: str | None) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ApiError: it is something else.
    """
    if text is None:
        raise ApiError("messages must be text, with a JSON object, not binary", code="invalid_json")
    if len(text) > MAX_MESSAGE:
        raise ApiError(
            f"the message has {len(text):,} characters, at most {MAX_MESSAGE:,} are taken: send "
            f"the text in parts",
            code="message_too_long",
        )
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        told = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ApiError(f"the message is no JSON: {told}", code="invalid_json") from None
    if not isinstance(value, dict):
        raise ApiError("the message must be a JSON object", code="invalid_json")
    return value


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
