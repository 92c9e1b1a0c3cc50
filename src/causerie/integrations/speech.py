"""Sources of speech for the plugins: a `TTS` in this process, or a server.

Both yield 16-bit samples as they are made and raise `SpeechError` with an HTTP status. Knows none
of the frameworks. `Remote` needs aiohttp, which every framework installs.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from causerie.audio.io import pcm16
from causerie.errors import CauserieError, ConfigError
from causerie.extras import need
from causerie.statuses import status_of
from causerie.text.growing import Flush
from causerie.tts import TTS

if TYPE_CHECKING:
    from causerie.reply.async_stream import AsyncStream

#: Sample rate of all audio, in Hz.
SAMPLE_RATE = 24_000
#: Timeouts to connect to a server and to receive its next bytes, in seconds.
CONNECT_S, READ_S = 10.0, 60.0


class SpeechError(Exception):
    """Speech could not be made.

    Attributes:
        status: HTTP status, also for errors in this process; None if the server was not reached.
        code: error code such as "invalid_text"; None if unknown.
        request_id: the server's id of the request.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.request_id = status, code, request_id

    @property
    def is_text_error(self) -> bool:
        """Whether the text caused the error, so that another text may succeed."""
        return self.code in ("invalid_text", "context_length_exceeded")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a reply; None: the default of the model or the server.

    Attributes:
        voice: a name, or for `Local` also the path of a voice file.
    """

    voice: str | None = None
    temperature: float | None = None
    top_k: int | None = None
    seed: int | None = None
    speed: float | None = None

    def given(self) -> dict[str, Any]:
        """The options that are not None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class AudioStream(AsyncIterator[bytes], ABC):
    """The 16-bit samples of a reply as they are made; must be closed."""

    @abstractmethod
    async def aclose(self) -> None:
        """Stop the reply."""


class Source(ABC):
    """Makes speech from text."""

    @abstractmethod
    async def speak(self, text: str | AsyncIterable[str | Flush], options: Options) -> AudioStream:
        """Start a reply to a complete text, or to one that arrives in parts.

        Raises:
            SpeechError: the text cannot be spoken; for text in parts, the stream may raise it.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Close the connection or the model."""


def source(tts: TTS | None, base_url: str | None, *, model: str, api_key: str | None) -> Source:
    """The source for the arguments of a plugin.

    Args:
        tts: a loaded model; if both it and base_url are None, `model` is loaded.
        base_url: address of a server, with or without /v1.

    Raises:
        ConfigError: the arguments contradict each other, or base_url is not a URL.
        CheckpointError: the model cannot be loaded.
    """
    if base_url is None:
        if api_key is not None:
            raise ConfigError("api_key needs base_url, the address of the server")
        return Local(tts if tts is not None else TTS.from_pretrained(model), is_ours=tts is None)
    if tts is not None:
        raise ConfigError("tts and base_url cannot be combined: pass one of them")
    return Remote(base_url, model=model, api_key=api_key)


class Local(Source):
    """A `TTS` in this process."""

    def __init__(self, tts: TTS, *, is_ours: bool) -> None:
        self.tts, self._is_ours = tts, is_ours

    async def speak(self, text: str | AsyncIterable[str | Flush], options: Options) -> AudioStream:
        with speech_errors():
            stream = await self.tts.astream(text, allow_silence=True, **options.given())
        return _LocalStream(stream)

    async def aclose(self) -> None:
        if self._is_ours:
            await self.tts.aclose(drain=False)


class _LocalStream(AudioStream):
    def __init__(self, stream: AsyncStream) -> None:
        self._stream = stream

    async def __anext__(self) -> bytes:
        with speech_errors():
            return pcm16(await anext(self._stream)).tobytes()

    async def aclose(self) -> None:
        await self._stream.aclose()


class Remote(Source):
    """A causerie server, or any other with OpenAI's `/v1/audio/speech` and the format pcm.

    Args:
        model: the model to request.
    """

    def __init__(self, base_url: str, *, model: str, api_key: str | None) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"base_url must be like http://127.0.0.1:8000, not {base_url!r}")
        self._aiohttp = need("aiohttp", "pipecat")
        self.url = base_url.rstrip("/").removesuffix("/v1") + "/v1/audio/speech"
        self._model = model
        self._headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._session: Any = None

    async def speak(self, text: str | AsyncIterable[str | Flush], options: Options) -> AudioStream:
        assert isinstance(text, str)
        body = {
            "model": self._model,
            "input": text,
            "response_format": "pcm",
            **options.given(),
        }
        with self._connection_errors():
            response = await self._open_session().post(self.url, json=body)
        if response.status != 200:
            try:
                raise await self._error_of(response)
            finally:
                response.release()
        return _RemoteStream(self, response)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open_session(self) -> Any:
        """The session; it belongs to the event loop of the first call."""
        if self._session is None:
            timeout = self._aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_S, sock_read=READ_S
            )
            self._session = self._aiohttp.ClientSession(timeout=timeout, headers=self._headers)
        return self._session

    @contextmanager
    def _connection_errors(self) -> Iterator[None]:
        """Raise connection errors as `SpeechError`."""
        try:
            yield
        except (self._aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise SpeechError(
                f"no speech from {self.url}: {str(error) or type(error).__name__}", status=None
            ) from error

    async def _error_of(self, response: Any) -> SpeechError:
        """The error in a server's response."""
        with self._connection_errors():
            body = await response.text()
        try:
            error = json.loads(body)["error"]
            message, code = error["message"], error["code"]
        except (ValueError, KeyError, TypeError):  # not OpenAI's format
            message, code = f"{self.url} answered {response.status}: {body[:200]}", None
        return SpeechError(
            message,
            status=response.status,
            code=code,
            request_id=response.headers.get("x-request-id"),
        )


class _RemoteStream(AudioStream):
    """The body of a response, in whole samples."""

    def __init__(self, server: Remote, response: Any) -> None:
        self._server, self._response = server, response
        self._half = b""  # the first byte of a sample

    async def __anext__(self) -> bytes:
        while True:
            with self._server._connection_errors():
                data: bytes = self._half + await self._response.content.readany()
            if not data:
                raise StopAsyncIteration
            if len(data) == len(self._half):
                raise SpeechError(
                    "the audio ends within a sample: the connection was cut off", status=None
                )
            whole = len(data) & ~1
            self._half = data[whole:]
            if whole:
                return data[:whole]

    async def aclose(self) -> None:
        self._response.close()  # not `release`, which would read the rest


@contextmanager
def speech_errors() -> Iterator[None]:
    """Raise errors of a `TTS` as `SpeechError`, with the status a server would send."""
    try:
        yield
    except CauserieError as error:
        status, code, _ = status_of(error)
        raise SpeechError(str(error), status=status, code=code) from error
