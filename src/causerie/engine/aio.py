"""The engine for asyncio: one thread that steps, and any number of tasks that listen.

    async with AsyncEngine(engine) as running:
        async for pcm in running.speak(request):
            ...

The thread steps while there is something to do, and sleeps otherwise. Tasks may be in different
event loops and threads.
"""

from __future__ import annotations

import asyncio
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
    """The sound of one request, (N,) fp32 a piece, for one task.

    Who leaves it, by `aclose` or by forgetting it, cancels the request. What is not taken is kept:
    at most the request's `max_frames`.

    Attributes:
        handle: how far the request is, and its codes.
    """

    def __init__(self, engine: Engine, request: Request, sizes: ChunkSizes | None = None) -> None:
        self._engine = engine
        self._sizes = sizes or ChunkSizes(engine.frame_s)
        self.handle: Handle = engine.submit(request)

    async def __anext__(self) -> NDArray[np.float32]:
        """The next piece, as soon as it is there.

        Raises:
            CancelledError, DeadlineError, CheckpointError, …: why there is no more.
        """
        if not self._is_ready():
            await self._ready()
        piece = self.handle.take(self._size())
        if piece is None:
            raise StopAsyncIteration
        num_frames = len(piece) // self._engine.runner.frame_size
        self._sizes.handed(num_frames, self._engine.clock())
        return piece

    def _size(self) -> int:
        return self._sizes.size(self._engine.clock(), self.handle.num_ready)

    def _is_ready(self) -> bool:
        return self.handle.is_ready(self._size())  # which changes with the listener's lead

    async def _ready(self) -> None:
        """Sleep until the next piece is there, or all that will ever be."""
        loop, handle, changed = asyncio.get_running_loop(), self.handle, asyncio.Event()

        def tell() -> None:
            try:
                loop.call_soon_threadsafe(changed.set)
            except RuntimeError:  # the loop is closed: nobody listens any more
                self._engine.abandon(handle)

        handle.on_change, handle.is_awaited = tell, True
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
        """Make no more of it."""
        self._engine.cancel(self.handle)

    def __del__(self) -> None:
        if hasattr(self, "handle") and not self.handle.is_done:
            self._engine.abandon(self.handle)


class AsyncEngine:
    """Steps an engine by a thread of its own, until it is closed."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._is_closing = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="causerie engine", daemon=True)
        self._thread.start()

    def speak(self, request: Request, sizes: ChunkSizes | None = None) -> RequestStream:
        """Ask for a reply: iterate over its pieces.

        Args:
            sizes: of the pieces, where it goes on with what its listener has begun to hear.

        Raises:
            QueueFullError: too many wait.
            EngineError: it is closed, or broke down.
        """
        self._check_open()
        speech = RequestStream(self.engine, request, sizes)
        try:
            self._check_open()  # or it might have come too late to be stepped
        except EngineError:
            self.engine.cancel(speech.handle)
            raise
        return speech

    @property
    def failure(self) -> BaseException | None:
        """What broke the engine down; None while all is well."""
        return self._failure

    def close(self, *, drain: bool = True) -> None:
        """End the thread, once all that was asked for is made, or at once: then it is cancelled."""
        self._is_closing = True
        if not drain:
            self.engine.cancel_all()
        self.engine.wake()
        self._thread.join()

    async def aclose(self, *, drain: bool = True) -> None:
        """`close`, while the event loop goes on."""
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
        except Exception as error:  # noqa: BLE001 all requests have failed by it; `speak` tells
            self._failure = error
            self.engine.cancel_all()  # those that came since
