"""Home Assistant's protocol, Wyoming: a TCP port beside the HTTP one, in the same event loop.

A connection requests one text after the other, each complete (`synthesize`) or as it is written
(`synthesize-start`, `-chunk`, `-stop`). An error closes the connection, because Home Assistant does
not read errors but notices a closed connection at once.

The protocol has no keys. Events are read here and not by the package, whose reader trusts the sizes
that a client claims.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, Eventable, async_write_event
from wyoming.info import Attribution, Describe, Info, SelectProgram, TtsProgram, TtsVoice
from wyoming.ping import Ping, Pong
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

from causerie import __version__
from causerie.audio.io import pcm16
from causerie.errors import ConfigError, UnknownVoiceError
from causerie.server.clients import client_at, current_client
from causerie.server.threads import in_store

log = logging.getLogger("causerie.server")

if TYPE_CHECKING:
    from causerie.server.service import SpeechService

#: Bytes of an event's header and of its data, far more than the longest text has.
MAX_EVENT_BYTES = 1 << 20
#: Texts that may wait for the one that is spoken; then no more events are read.
MAX_AHEAD = 16
#: Chunks of a text that may wait; then no more events are read.
MAX_CHUNKS_AHEAD = 256
#: Seconds within which a client must read an event.
STALL_S = 60.0
#: Seconds for replies to reach a slow client when the server shuts down.
DRAIN_S = 30.0

_ATTRIBUTION = Attribution(name="causerie", url="https://github.com/causerie/causerie")


class WyomingServer:
    """Listens on a TCP port until it is closed.

    Args:
        port: 0 takes a free one.

    Attributes:
        port: the actual port, after `start`.
    """

    def __init__(self, service: SpeechService, *, host: str, port: int) -> None:
        self.service, self.host, self.port = service, host, port
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], _Connection] = {}

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: the host or the port cannot be listened on.
        """
        try:
            self._server = await asyncio.start_server(
                self._serve, self.host, self.port, limit=MAX_EVENT_BYTES
            )
        except OSError as error:
            raise ConfigError(
                f"Wyoming cannot listen on {self.host}, port {self.port}: {error.strerror}; "
                f"give another --wyoming port"
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def aclose(self, *, drain: bool = True, timeout_s: float = DRAIN_S) -> None:
        """Accept no new connections, and close the others, after their texts if `drain`."""
        if self._server is not None:
            self._server.close()
        tasks = dict(self._connections)
        if not tasks:
            return
        for task, connection in tasks.items():
            if drain:
                connection.finish()
            else:
                task.cancel()
        _, late = await asyncio.wait(tasks, timeout=timeout_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        current_client.set(client_at(writer.get_extra_info("peername")))
        connection = _Connection(self.service, reader, writer)
        self._connections[task] = connection
        try:
            await connection.run()
        except asyncio.CancelledError:  # by `aclose`, which only waits for the end of this task
            writer.transport.abort()
        finally:
            del self._connections[task]
            writer.close()
            try:
                await asyncio.wait_for(writer.wait_closed(), STALL_S)
            except (OSError, asyncio.TimeoutError):
                pass
            finally:
                writer.transport.abort()


class _GrowingText(AsyncIterator[str]):
    """A text that is received in chunks, for one reader."""

    def __init__(self) -> None:
        self._chunks: asyncio.Queue[str | None] = asyncio.Queue(MAX_CHUNKS_AHEAD)

    async def add(self, chunk: str | None) -> None:
        """Append a chunk, or None to end the text. Waits while too many are unread."""
        await self._chunks.put(chunk)

    async def __anext__(self) -> str:
        chunk = await self._chunks.get()
        if chunk is None:
            raise StopAsyncIteration
        return chunk


class _EventError(Exception):
    """An event is invalid or unsupported.

    Attributes:
        code: as of an `ApiError`.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class _Connection:
    """One client: a task reads its events, and another speaks its texts in turn."""

    def __init__(
        self, service: SpeechService, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._service, self._reader, self._writer = service, reader, writer
        #: Texts and their voices; None at the end.
        self._texts: asyncio.Queue[tuple[str | _GrowingText, SynthesizeVoice | None] | None] = (
            asyncio.Queue(MAX_AHEAD)
        )
        self._growing: _GrowingText | None = None  # between synthesize-start and -stop
        self._reading: asyncio.Task[None] | None = None
        self._speaking: asyncio.Task[None] | None = None
        self._is_finishing = False

    async def run(self) -> None:
        """Serve until the client disconnects, or an error closes the connection."""
        self._reading = asyncio.create_task(self._read(), name="wyoming reader")
        self._speaking = asyncio.create_task(self._speak_all(), name="wyoming service")
        both = {self._reading, self._speaking}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if self._is_finishing and _has_succeeded(self._reading):
                adding = asyncio.create_task(self._texts.put(None))
                await asyncio.wait({self._speaking})
                adding.cancel()
            for task in both:
                if task.done() and not task.cancelled() and (error := task.exception()):
                    await self._send_error(error)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    def finish(self) -> None:
        """Close after all requested texts are spoken; a growing text may still be completed."""
        self._is_finishing = True
        if self._growing is None and self._reading is not None:
            self._reading.cancel()

    # Events in

    async def _read(self) -> None:
        while not (self._is_finishing and self._growing is None):
            event = await self._next_event()
            if event is None:
                raise ConnectionResetError("the client disconnected")
            await self._handle(event)

    async def _next_event(self) -> Event | None:
        """The next event, None at the end. Payloads are skipped.

        Raises:
            _EventError: it is not an event, or too long.
        """
        try:
            line = await self._reader.readline()
            if not line.endswith(b"\n"):
                return None  # the end, perhaps within a line
            head = _as_object(line)
            kind, data = head.get("type"), head.get("data") or {}
            extra = await self._reader.readexactly(_size(head, "data_length"))
            await self._reader.readexactly(_size(head, "payload_length"))
        except asyncio.IncompleteReadError:
            return None
        except ValueError as error:  # by the reader, for a line over its limit
            raise _EventError(f"a line has over {MAX_EVENT_BYTES:,} bytes", "bad_event") from error
        if not isinstance(kind, str) or not isinstance(data, dict):
            raise _EventError(
                "an event must have a type, and its data must be an object", "bad_event"
            )
        return Event(type=kind, data={**data, **_as_object(extra)} if extra else data)

    async def _handle(self, event: Event) -> None:
        """Handle an event; unknown ones are ignored, as the protocol demands."""
        if Describe.is_type(event.type):
            await self._write(await in_store(info, self._service))
        elif Ping.is_type(event.type):
            await self._write(Pong(text=_clean(_text(event, optional=True) or "")))
        elif SelectProgram.is_type(event.type):
            if event.data.get("name") != PROGRAM:
                raise _EventError(f"the only program is {PROGRAM}", "unknown_program")
        elif Synthesize.is_type(event.type):
            if self._growing is None:  # else it repeats the text for servers without streaming
                await self._texts.put((_text(event), _voice(event)))
        elif SynthesizeStart.is_type(event.type):
            if self._growing is not None:
                raise _EventError("synthesize-start before synthesize-stop", "bad_event")
            voice, self._growing = _voice(event), _GrowingText()
            await self._texts.put((self._growing, voice))
        elif SynthesizeChunk.is_type(event.type) or SynthesizeStop.is_type(event.type):
            if self._growing is None:
                raise _EventError(f"{event.type} without synthesize-start", "bad_event")
            if SynthesizeChunk.is_type(event.type):
                await self._growing.add(_text(event))
            else:
                growing, self._growing = self._growing, None
                await growing.add(None)

    # Events out

    async def _speak_all(self) -> None:
        while True:
            item = await self._texts.get()
            if item is None:
                return
            text, voice = item
            await self._speak(text, voice)

    async def _speak(self, text: str | _GrowingText, requested: SynthesizeVoice | None) -> None:
        voice = await in_store(choose_voice, self._service, requested)
        checked = self._service.texts.plain(text) if isinstance(text, str) else text
        reply = await self._service.speak(checked, voice=voice, protocol="wyoming")
        try:
            shape = {"rate": reply.sample_rate, "width": 2, "channels": 1}
            num_samples = 0
            async for samples in reply:
                now = 1000 * num_samples // reply.sample_rate
                if not num_samples:
                    await self._write(AudioStart(**shape, timestamp=0))
                await self._write(
                    AudioChunk(**shape, audio=pcm16(samples).tobytes(), timestamp=now)
                )
                num_samples += len(samples)
            if not num_samples:  # the reply may be empty
                await self._write(AudioStart(**shape, timestamp=0))
            stop = AudioStop(timestamp=1000 * num_samples // reply.sample_rate).event()
            if reply.notes:
                stop.data["notes"] = reply.notes
            await self._write_event(stop)
        finally:
            await reply.aclose()
        if isinstance(text, _GrowingText):
            await self._write(SynthesizeStopped())

    async def _write(self, message: Eventable) -> None:
        """Send, once the client has read most of the earlier messages."""
        await self._write_event(message.event())

    async def _write_event(self, event: Event) -> None:
        try:
            await asyncio.wait_for(async_write_event(event, self._writer), STALL_S)
        except asyncio.TimeoutError:
            log.warning("a Wyoming client is disconnected: it read nothing for %.0f s", STALL_S)
            self._writer.transport.abort()
            raise ConnectionResetError("the client does not read") from None

    async def _send_error(self, error: BaseException) -> None:
        """Send an error, unless the client has disconnected."""
        if isinstance(error, ConnectionError):
            return
        if isinstance(error, _EventError):
            message, code = str(error), error.code
        else:
            api_error = self._service.report(error)
            message, code = api_error.message, api_error.code or api_error.type
        with contextlib.suppress(ConnectionError):
            await self._write(Error(text=_clean(message), code=code))


#: The name of this server in Home Assistant.
PROGRAM = "causerie"


def info(service: SpeechService) -> Info:
    """The voices, as Home Assistant lists them."""
    voices = [
        TtsVoice(
            name=voice.id,
            attribution=_ATTRIBUTION,
            installed=True,
            description=_described(voice.name, voice.description),
            version=__version__,
            languages=[voice.language],
        )
        for voice in service.voices()
    ]
    program = TtsProgram(
        name=PROGRAM,
        attribution=_ATTRIBUTION,
        installed=True,
        description="The Conversational Speech Model",
        version=__version__,
        voices=voices,
        supports_synthesize_streaming=True,
    )
    return Info(tts=[program])


def choose_voice(service: SpeechService, requested: SynthesizeVoice | None) -> str | None:
    """The name of the requested voice; None is the default one.

    A language alone selects the default voice if it speaks it, else the first one that does.

    Raises:
        UnknownVoiceError: no voice speaks the language, or a speaker within a voice was requested.
            A name is not checked here.
    """
    if requested is None:
        return None
    if requested.speaker is not None:
        raise UnknownVoiceError(f"voice {requested.name!r} has no speakers to choose from")
    if requested.name is not None:
        return requested.name
    language = _main(requested.language or "")
    fit = [voice for voice in service.voices() if _main(voice.language) == language]
    if not fit:
        spoken = sorted({voice.language for voice in service.voices()})
        raise UnknownVoiceError(
            f"no voice speaks {requested.language!r}: there is {', '.join(spoken)}"
        )
    return None if service.default_voice in [voice.id for voice in fit] else fit[0].id


def _described(name: str, description: str | None) -> str:
    return f"{name}: {description}" if description else name


def _has_succeeded(task: asyncio.Task[None]) -> bool:
    """Whether a task ended without an error; a cancelled one did."""
    return task.done() and (task.cancelled() or task.exception() is None)


def _clean(text: str) -> str:
    """A text that can be sent, with unpaired surrogates escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _main(language: str) -> str:
    """The language of a locale, such as "en" for en-US and en_GB."""
    return language.replace("_", "-").partition("-")[0].lower()


def _as_object(text: bytes) -> dict[str, Any]:
    """The JSON object in a line.

    Raises:
        _EventError: it contains something else.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _EventError(f"an event must be JSON on one line: {error}", "bad_event") from error
    if not isinstance(found, dict):
        raise _EventError("an event must be a JSON object", "bad_event")
    return found


def _size(head: dict[str, Any], name: str) -> int:
    """A number of bytes that a client claims; 0 if it is missing."""
    size = head.get(name)
    if size is None:
        return 0
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_EVENT_BYTES:
        raise _EventError(f"{name} must be 0 to {MAX_EVENT_BYTES:,}, not {size!r:.40}", "bad_event")
    return size


def _text(event: Event, *, optional: bool = False) -> Any:
    """The text of an event.

    Raises:
        _EventError: it is missing.
    """
    text = event.data.get("text")
    if not isinstance(text, str) and not (optional and text is None):
        raise _EventError(f"{event.type} needs a text", "bad_event")
    return text


def _voice(event: Event) -> SynthesizeVoice | None:
    """The voice that an event requests.

    Raises:
        _EventError: it is malformed, or the text is not plain text.
    """
    form = event.data.get("text_format")
    if form not in (None, "text"):
        raise _EventError(f"text_format must be text, not {form!r:.40}", "unsupported_format")
    voice = event.data.get("voice") or {}
    if not isinstance(voice, dict) or not all(
        isinstance(voice.get(key), (str, type(None))) for key in ("name", "language", "speaker")
    ):
        raise _EventError("voice must be an object with a name or a language", "bad_event")
    found = SynthesizeVoice(
        name=voice.get("name"), language=voice.get("language"), speaker=voice.get("speaker")
    )
    return None if found.name is None and found.language is None else found
