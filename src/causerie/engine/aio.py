"""The engine for asyncio: one thread steps, any number of tasks receive audio.

    async with AsyncEngine(engine) as running:
        async for pcm in running.speak(request):
            ...

The thread steps while there are requests, and sleeps otherwise. Tasks may be in different event
loops and threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

import numpy as np
from numpy.typing import NDArray

from causerie.engine.chunk_sizes import ChunkSizes
from causerie.engine.engine import Engine
from causerie.engine.handle import Handle
from causerie.engine.request import Request
from causerie.errors import EngineError


class RequestStream(AsyncIterator[NDArray[np.float32]]):
    """The audio of one request in chunks (N,) fp32, for one task.

    `aclose` cancels the request, and so does deleting the stream. Audio that is not taken stays
    in memory, `max_frames` of the request at most.

    Attributes:
        handle: the progress of the request, and its codes.
    """

    def __init__(self, engine: Engine, handle: Handle, sizes: ChunkSizes | None = None) -> None:
        self._engine = engine
        self._sizes = sizes or ChunkSizes(engine.frame_s)
        self.handle = handle

    async def __anext__(self) -> NDArray[np.float32]:
        """The next chunk, as soon as it is ready.

        Raises:
            CancelledError, DeadlineError, CheckpointError, …: the request failed.
        """
        if not self._is_ready():
            await self._ready()
        chunk = self.handle.take(self._size())
        if chunk is None:
            raise StopAsyncIteration
        num_frames = len(chunk) // self._engine.runner.frame_size
        self._sizes.count(num_frames, self._engine.clock())
        return chunk

    def _size(self) -> int:
        return self._sizes.size(self._engine.clock(), self.handle.num_ready)

    def _is_ready(self) -> bool:
        return self.handle.is_ready(self._size())  # it changes with the listener's lead

    async def _ready(self) -> None:
        """Sleep until the next chunk is ready, or the request has finished."""
        loop, handle, changed = asyncio.get_running_loop(), self.handle, asyncio.Event()

        def notify() -> None:
            try:
                loop.call_soon_threadsafe(changed.set)
            except RuntimeError:  # the loop is closed: no task can take the audio
                self._engine.abandon(handle)

        handle.on_change, handle.is_awaited = notify, True
        try:
            while not self._is_ready():
                await changed.wait()
                changed.clear()
        except asyncio.CancelledError:
            await self.aclose()
            raise
        finally:
            handle.on_change, handle.is_awaited = None, False

    async def aclose(self) -> None:
        """Cancel the request."""
        self._engine.cancel(self.handle)

    def __del__(self) -> None:
        if hasattr(self, "handle") and not self.handle.is_done:
            self._engine.abandon(self.handle)


class AsyncEngine:
    """Steps an engine in a thread of its own until it is closed."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._is_closing = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="causerie engine", daemon=True)
        self._thread.start()

    def speak(self, request: Request, sizes: ChunkSizes | None = None) -> RequestStream:
        """Submit a request; returns the stream of its audio.

        Args:
            sizes: the chunk sizes so far, where the request continues a reply.

        Raises:
            QueueFullError: too many requests wait.
            EngineError: the engine is closed or broken.
        """
        return RequestStream(self.engine, self.submit(request), sizes)

    def submit(self, request: Request) -> Handle:
        """`speak` without a stream: the request goes on until it has finished or is cancelled."""
        self._check_open()
        handle = self.engine.submit(request)
        try:
            self._check_open()  # the thread may have ended before the request was queued
        except EngineError:
            self.engine.cancel(handle)
            raise
        return handle

    async def finished(self, handle: Handle) -> None:
        """Wait until a request has finished; cancelling the wait leaves it as it is."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def notify() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(done.set)

        handle.on_done = notify
        if not handle.is_done:
            await done.wait()

    @property
    def failure(self) -> BaseException | None:
        """The error that broke the engine; None while it works."""
        return self._failure

    def close(self, *, drain: bool = True) -> None:
        """End the thread: after all requests have finished, or at once, which cancels them."""
        self._is_closing = True
        if not drain:
            self.engine.cancel_all()
        self.engine.wake()
        self._thread.join()

    async def aclose(self, *, drain: bool = True) -> None:
        """`close` without blocking the event loop."""
        await asyncio.get_running_loop().run_in_executor(None, lambda: self.close(drain=drain))

    async def __aenter__(self) -> AsyncEngine:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self.aclose(drain=kind is None)

    def _check_open(self) -> None:
        if self._failure is not None:
            raise EngineError(f"the engine broke down: {self._failure!r}") from self._failure
        if self._is_closing:
            raise EngineError("the engine is closed: make a new one")

    def _run(self) -> None:
        try:
            while self.engine.wait_for_work(unless=lambda: self._is_closing):
                self.engine.step()
        except Exception as error:  # noqa: BLE001 it failed all requests; `speak` reports it
            self._failure = error
            self.engine.cancel_all()  # requests that came after the failure
