"""Where the frameworks' plugins get speech from: a `TTS` in this process, or a server.

Both give the bytes of 16-bit samples as they are made, and raise `SpeechError` with the status that
a server would answer. Knows none of the frameworks; a server needs aiohttp, which they all bring.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from causerie.audio.io import pcm16
from causerie.errors import CauserieError, ConfigError
from causerie.extras import need
from causerie.prompt import Segment
from causerie.statuses import status_of
from causerie.text.growing import Flush
from causerie.tts import TTS

if TYPE_CHECKING:
    from causerie.reply.async_stream import AsyncStream

#: Of all speech, in Hz.
SAMPLE_RATE = 24_000
#: How long a server may take to be reached, and to send the next bytes.
CONNECT_S, READ_S = 10.0, 60.0


class SpeechError(Exception):
    """Speech that cannot be had.

    Attributes:
        status: of HTTP, whether or not a server said it; None: it was not reached.
        code: the very error, such as "invalid_text", where it is known.
        request_id: by which the server knows the request.
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
    def is_of_the_text(self) -> bool:
        """Whether another text may well be spoken."""
        return self.code in ("invalid_text", "context_length_exceeded")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to speak; None leaves it to the model, or to the server.

    Attributes:
        voice: a name, or for a `TTS` in this process a voice file.
    """

    voice: str | None = None
    temperature: float | None = None
    top_k: int | None = None
    seed: int | None = None

    def given(self) -> dict[str, Any]:
        """Those that are not None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Sound(AsyncIterator[bytes], ABC):
    """Samples of a reply, 16 bits each, as they are made; to be closed."""

    @abstractmethod
    async def aclose(self) -> None:
        """Make no more of it."""

    def said(self) -> list[Segment]:
        """What was spoken, as context of what comes next; empty where it is not known."""
        return []


class Source(ABC):
    """Makes speech."""

    #: Whether `speak` takes a context.
    takes_context = False

    @abstractmethod
    async def speak(
        self,
        text: str | AsyncIterable[str | Flush],
        settings: Options,
        *,
        context: Sequence[Segment] = (),
    ) -> Sound:
        """Speak a text, or one that grows.

        Raises:
            SpeechError: it cannot be spoken. For a text that grows it may come from the sound.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Free what it took."""


def source(tts: TTS | None, base_url: str | None, *, model: str, api_key: str | None) -> Source:
    """The one that is asked for.

    Args:
        tts: in this process; None and no base_url: one that is made of `model`.
        base_url: of a server, with or without its /v1.

    Raises:
        ConfigError: both, a URL that is none, or a model that cannot be loaded.
    """
    if base_url is None:
        if api_key is not None:
            raise ConfigError("api_key is for a server: give its base_url too")
        return Local(tts if tts is not None else TTS.from_pretrained(model), is_ours=tts is None)
    if tts is not None:
        raise ConfigError("tts and base_url exclude each other: give one of them")
    return Remote(base_url, model=model, api_key=api_key)


class Local(Source):
    """A `TTS` in this process."""

    takes_context = True

    def __init__(self, tts: TTS, *, is_ours: bool) -> None:
        self.tts, self._is_ours = tts, is_ours

    async def speak(
        self,
        text: str | AsyncIterable[str | Flush],
        settings: Options,
        *,
        context: Sequence[Segment] = (),
    ) -> Sound:
        with _as_told():
            return _LocalSound(await self.tts.astream(text, context=context, **settings.given()))

    async def aclose(self) -> None:
        if self._is_ours:
            await self.tts.aclose(drain=False)


class _LocalSound(Sound):
    def __init__(self, stream: AsyncStream) -> None:
        self._stream = stream

    async def __anext__(self) -> bytes:
        with _as_told():
            return pcm16(await anext(self._stream)).tobytes()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def said(self) -> list[Segment]:
        return self._stream.said()


class Remote(Source):
    """A server of causerie, or any that has OpenAI's `/v1/audio/speech` with the format pcm.

    Args:
        model: that the server is asked for.
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

    async def speak(
        self,
        text: str | AsyncIterable[str | Flush],
        settings: Options,
        *,
        context: Sequence[Segment] = (),
    ) -> Sound:
        assert not context
        assert isinstance(text, str)
        body = {
            "model": self._model,
            "input": text,
            "response_format": "pcm",
            **settings.given(),
        }
        with self._reached():
            answer = await self._open().post(self.url, json=body)
        if answer.status != 200:
            try:
                raise await self._refused(answer)
            finally:
                answer.release()
        return _RemoteSound(self, answer)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> Any:
        """The session, which belongs to the event loop that first asks for it."""
        if self._session is None:
            timeout = self._aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_S, sock_read=READ_S
            )
            self._session = self._aiohttp.ClientSession(timeout=timeout, headers=self._headers)
        return self._session

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """A server that is not there is a `SpeechError`."""
        try:
            yield
        except (self._aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise SpeechError(
                f"no speech from {self.url}: {str(error) or type(error).__name__}", status=None
            ) from error

    async def _refused(self, answer: Any) -> SpeechError:
        """What a server says instead of speech."""
        with self._reached():
            body = await answer.text()
        try:
            told = json.loads(body)["error"]
            message, code = told["message"], told["code"]
        except (ValueError, KeyError, TypeError):  # no server of ours
            message, code = f"{self.url} answered {answer.status}: {body[:200]}", None
        return SpeechError(
            message,
            status=answer.status,
            code=code,
            request_id=answer.headers.get("x-request-id"),
        )


class _RemoteSound(Sound):
    """The body of an answer, cut into whole samples."""

    def __init__(self, server: Remote, answer: Any) -> None:
        self._server, self._answer = server, answer
        self._half = b""  # of a sample

    async def __anext__(self) -> bytes:
        while True:
            with self._server._reached():
                data: bytes = self._half + await self._answer.content.readany()
            if not data:
                raise StopAsyncIteration
            if len(data) == len(self._half):
                raise SpeechError("the sound ends amid a sample: it was cut off", status=None)
            whole = len(data) & ~1
            self._half = data[whole:]
            if whole:
                return data[:whole]

    async def aclose(self) -> None:
        self._answer.close()  # and not `release`, which would read what is left


@contextmanager
def _as_told() -> Iterator[None]:
    """Errors of a `TTS` are told as a server would."""
    try:
        yield
    except CauserieError as error:
        status, code, _ = status_of(error)
        raise SpeechError(str(error), status=status, code=code) from error
