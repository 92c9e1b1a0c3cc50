"""Answers of HTTP that are sound: as it is made, or all of it at once.

An error before the first byte is an answer of its own; one after it breaks the connection off, as a
file that ends early must not look whole. A client that goes frees its slot at once, also while
nothing is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from fastapi import Request
from numpy.typing import NDArray
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from causerie.audio.formats import Encoder
from causerie.server.errors import ApiError
from causerie.server.request_log import BrokenOffError
from causerie.server.state import service_of

Made = TypeVar("Made")
#: Makes an encoder, from how many samples there will be.
NewEncoder = Callable[[int], Encoder]

#: What proxies and browsers are asked not to do with sound that is still being made.
STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
#: What nginx calls a request whose client did not wait; nobody reads it.
CLIENT_GONE = 499


class AudioSource(Protocol):
    """Sound as it is made, (N,) fp32 a piece, such as a `Speech`; to be closed."""

    def __aiter__(self) -> AsyncIterator[NDArray[np.float32]]: ...

    def aclose(self) -> Awaitable[None]:
        """Make no more of it."""


class LiveResponse(StreamingResponse):
    """A streaming response that ends its source as soon as the client is gone."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        sending = asyncio.create_task(self.stream_response(send))
        gone = asyncio.create_task(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                with contextlib.suppress(OSError):  # it went while we sent
                    await sending
        finally:
            await _end(sending, gone)
            aclose = getattr(self.body_iterator, "aclose", None)
            if aclose is not None:
                await aclose()
        if self.background is not None:
            await self.background()


async def stream(
    request: Request,
    speech: AudioSource,
    encoder: Encoder,
    *,
    headers: Mapping[str, str] | None = None,
    wrap: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]] | None = None,
    content_type: str | None = None,
) -> Response:
    """An answer with the sound as it is made; returns once there is some.

    Args:
        wrap: makes other bytes of those of the file, such as events; it raises what they raise.
        content_type: of these.

    Raises:
        CauserieError, ApiError: there was no sound.
    """
    chunks = encoded(speech, encoder)
    if wrap is not None:
        chunks = wrap(chunks)
    try:
        first = await unless_gone(request, anext(chunks, b""))
    except BaseException:
        await _aclose(chunks)
        raise
    if first is None:
        await _aclose(chunks)
        return Response(status_code=CLIENT_GONE)
    return LiveResponse(
        _rest(request, first, chunks),
        media_type=content_type or encoder.content_type,
        headers={**STREAM_HEADERS, **(headers or {})},
    )


async def whole(
    request: Request,
    speech: AudioSource,
    new_encoder: NewEncoder,
    headers: Mapping[str, str] | None = None,
    *,
    wrap: Callable[[bytes], bytes] | None = None,
    content_type: str | None = None,
) -> Response:
    """An answer with all of the sound, and its length.

    Args:
        wrap: makes other bytes of those of the file.
        content_type: of these.

    Raises:
        CauserieError, ApiError: why there is none.
    """
    try:
        pieces = await unless_gone(request, collect(speech))
    finally:
        await speech.aclose()  # where it was not even begun
    if pieces is None:
        return Response(status_code=CLIENT_GONE)
    data, kind = file_of(pieces, new_encoder)
    if wrap is not None:
        data = wrap(data)
    return Response(data, media_type=content_type or kind, headers=dict(headers or {}))


async def collect(speech: AudioSource) -> list[NDArray[np.float32]]:
    """All pieces of a sound."""
    try:
        return [pcm async for pcm in speech]
    finally:
        await speech.aclose()


def file_of(pieces: Sequence[NDArray[np.float32]], new_encoder: NewEncoder) -> tuple[bytes, str]:
    """A whole file, which knows its length, and its media type."""
    encoder = new_encoder(sum(map(len, pieces)))
    return b"".join([*map(encoder.encode, pieces), encoder.finish()]), encoder.content_type


async def encoded(speech: AudioSource, encoder: Encoder) -> AsyncIterator[bytes]:
    """The bytes of a file, as its sound is made; none are empty."""
    try:
        async for pcm in speech:
            if data := encoder.encode(pcm):
                yield data
        if data := encoder.finish():
            yield data
    finally:
        await speech.aclose()


async def unless_gone(request: Request, work: Awaitable[Made]) -> Made | None:
    """What comes of some work; None, and the work ended, where the client goes before."""
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        await _end(working, gone)


async def _rest(
    request: Request, first: bytes, chunks: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    try:
        if first:
            yield first
        async for chunk in chunks:
            yield chunk
    except Exception as error:
        service = service_of(request)
        told: ApiError = service.report(error)
        request.scope["state"].setdefault("facts", {})["code"] = told.code
        raise BrokenOffError(told.message) from error
    finally:
        await _aclose(chunks)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _end(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _aclose(chunks: AsyncIterator[bytes]) -> None:
    aclose: Callable[[], Coroutine[Any, Any, None]] | None = getattr(chunks, "aclose", None)
    if aclose is not None:
        await aclose()
