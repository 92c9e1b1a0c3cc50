"""HTTP responses of audio: streamed while it is generated, or complete.

An error before the first byte is a response of its own. An error after it aborts the connection,
because a truncated file must not look complete. A client that disconnects frees its slot at once,
even while nothing is being sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from fastapi import Request
from numpy.typing import NDArray
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from causerie.audio.formats import Encoder
from causerie.server.own_speech import TOKEN_HEADER
from causerie.server.request_log import AbortedError
from causerie.server.state import service_of

Result = TypeVar("Result")
#: Makes an encoder for a number of samples.
NewEncoder = Callable[[int], Encoder]

#: Keeps proxies and browsers from caching and buffering a stream.
STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
#: nginx's status for a client that disconnected; only the log shows it.
CLIENT_GONE = 499
#: Of `x-notes`: nginx reads headers of 4 KB in all, and aiohttp a header of 8 KB.
MAX_NOTES_CHARS = 2000


class Reply(Protocol):
    """What headers say of a reply."""

    @property
    def seed(self) -> int:
        """The seed that generates the same audio again."""

    @property
    def notes(self) -> Sequence[str]:
        """Notes for the listener, so far."""


def headers_of(reply: Reply) -> dict[str, str]:
    """The headers with the seed of a reply, and its notes, or the first of many."""
    kept: list[str] = []
    num_chars = 0
    for note in reply.notes:
        num_chars += len(json.dumps(note)) + 2
        if num_chars > MAX_NOTES_CHARS:
            num = len(reply.notes) - len(kept)
            kept.append(f"{num} more: all notes are in the last event of a stream of events")
            break
        kept.append(note)
    return {"x-seed": str(reply.seed), **({"x-notes": json.dumps(kept)} if kept else {})}


class AudioSource(Protocol):
    """Chunks of audio (N,), fp32, such as an `AsyncStream`. It must be closed."""

    def __aiter__(self) -> AsyncIterator[NDArray[np.float32]]: ...

    def aclose(self) -> Awaitable[None]:
        """Stop generating."""


class LiveResponse(StreamingResponse):
    """A streaming response that closes its source as soon as the client disconnects."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        sending = asyncio.create_task(self.stream_response(send))
        gone = asyncio.create_task(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                with contextlib.suppress(OSError):  # the client disconnected while we sent
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
    source: AudioSource,
    encoder: Encoder,
    *,
    new_encoder: NewEncoder,
    reply: Reply,
    headers: Mapping[str, str] | None = None,
    wrap: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]] | None = None,
    content_type: str | None = None,
) -> Response:
    """A response that streams the audio; returns once the first bytes are there.

    A flac begins with its length, without which libsndfile does not read it. So it is sent once all
    of its audio is there.

    Args:
        new_encoder: makes an encoder like `encoder` for a known length.
        reply: the headers have its notes so far.
        headers: more of them.
        wrap: converts the chunks of the file, for example into events, and passes errors on.
        content_type: of the converted chunks.

    Raises:
        CauserieError, ApiError: the reply failed before its first audio.
    """
    service = service_of(request)
    receipt = service.own_speech.begin()
    if encoder.content_type == "audio/flac":  # states its length before the audio
        chunks = encoded_whole(source, lambda num: receipt.watch(service.signed(new_encoder(num))))
    else:
        chunks = encoded(source, receipt.watch(encoder))
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
    headers = {TOKEN_HEADER: receipt.token, **headers_of(reply), **(headers or {})}
    return LiveResponse(
        _rest(request, first, chunks),
        media_type=content_type or encoder.content_type,
        headers={**STREAM_HEADERS, **headers},
    )


async def complete(
    request: Request,
    source: AudioSource,
    new_encoder: NewEncoder,
    *,
    reply: Reply,
    headers: Mapping[str, str] | None = None,
    wrap: Callable[[bytes], bytes] | None = None,
    content_type: str | None = None,
) -> Response:
    """A response with the whole file and its length.

    Args:
        reply: the headers have its notes.
        headers: more of them.
        wrap: converts the file.
        content_type: of the converted file.

    Raises:
        CauserieError, ApiError: the reply failed.
    """
    try:
        chunks = await unless_gone(request, collect(source))
    finally:
        await source.aclose()  # `collect` may not have begun
    if chunks is None:
        return Response(status_code=CLIENT_GONE)
    service = service_of(request)
    receipt = service.own_speech.begin()
    data, kind = encode_file(chunks, lambda num: receipt.watch(service.signed(new_encoder(num))))
    if wrap is not None:
        data = wrap(data)
    headers = {TOKEN_HEADER: receipt.token, **headers_of(reply), **(headers or {})}
    return Response(data, media_type=content_type or kind, headers=headers)


async def collect(source: AudioSource) -> list[NDArray[np.float32]]:
    """All chunks of a source, which is then closed."""
    try:
        return [pcm async for pcm in source]
    finally:
        await source.aclose()


def encode_file(
    chunks: Sequence[NDArray[np.float32]], new_encoder: NewEncoder
) -> tuple[bytes, str]:
    """A whole file, with its length in the header, and its media type."""
    encoder = new_encoder(sum(map(len, chunks)))
    return b"".join([*map(encoder.encode, chunks), encoder.finish()]), encoder.content_type


async def encoded(source: AudioSource, encoder: Encoder) -> AsyncIterator[bytes]:
    """The chunks of a file while its audio is generated; none is empty."""
    try:
        async for pcm in source:
            if data := encoder.encode(pcm):
                yield data
        if data := encoder.finish():
            yield data
    finally:
        await source.aclose()


async def encoded_whole(source: AudioSource, new_encoder: NewEncoder) -> AsyncIterator[bytes]:
    """The chunks of a file once its audio is complete; none is empty."""
    collected = await collect(source)
    encoder = new_encoder(sum(map(len, collected)))
    for pcm in collected:
        if data := encoder.encode(pcm):
            yield data
            await asyncio.sleep(0)  # other replies go on
    if data := encoder.finish():
        yield data


async def unless_gone(request: Request, work: Awaitable[Result]) -> Result | None:
    """The result of `work`; None, with the work cancelled, if the client disconnects first."""
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
        api_error = service_of(request).report(error)
        request.scope["state"].setdefault("facts", {})["code"] = api_error.code
        raise AbortedError(api_error.message) from error
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
