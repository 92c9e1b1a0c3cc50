"""Home Assistant's protocol, by its own client, against a server in this event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

from causerie.audio.io import pcm16
from causerie.server.metrics import Metrics
from causerie.server.models import Models
from causerie.server.service import SpeechService
from causerie.server.settings import Settings
from causerie.server.voices.store import open_store
from causerie.server.wyoming import WyomingServer
from tests.patience import PATIENCE_S
from tests.server.running import petit

#: A pronunciation with a symbol that is no phoneme.
WRONG = "<phoneme ph='☃'>a</phoneme>"
TEXT = "Hello there. How are you today? I hope that all is well with you and with your family."


def run(
    folder: Path,
    task: Callable[[AsyncTcpClient, SpeechService], Awaitable[None]],
    **settings_: Any,
) -> None:
    """Run a task with a client of a server; afterwards no slot may be taken."""

    async def main() -> None:
        tts = petit()
        settings = Settings(voices=str(folder), **settings_)
        service = SpeechService(Models(tts, settings), open_store(folder, tts), settings, Metrics())
        server = WyomingServer(service, host="127.0.0.1", port=0)
        await server.start()
        try:
            client = AsyncTcpClient("127.0.0.1", server.port)
            await client.connect()
            try:
                await task(client, service)
            finally:
                with contextlib.suppress(ConnectionError):  # the server may close first
                    await client.disconnect()
            for _ in range(100):
                if tts.engine.stats().active == 0:
                    break
                await asyncio.sleep(0.01)
            assert tts.engine.stats().active == 0
        finally:
            await server.aclose(drain=False, timeout_s=5)
            await tts.aclose(drain=False)

    asyncio.run(asyncio.wait_for(main(), 60))


async def events(client: AsyncTcpClient, until: Callable[[str], bool]) -> list[Event]:
    received: list[Event] = []
    while not received or not until(received[-1].type):
        event = await client.read_event()
        assert event is not None, [one.type for one in received]
        received.append(event)
    return received


def sound(received: list[Event]) -> bytes:
    return b"".join(
        AudioChunk.from_event(event).audio for event in received if AudioChunk.is_type(event.type)
    )


def test_the_server_describes_itself(tmp_path: Path) -> None:
    async def task(client: AsyncTcpClient, service: SpeechService) -> None:
        await client.write_event(Describe().event())
        (event,) = await events(client, Info.is_type)
        (program,) = Info.from_event(event).tts
        assert program.installed
        assert program.supports_synthesize_streaming
        assert {"heart", "theo"} <= {voice.name for voice in program.voices}
        assert all(voice.languages for voice in program.voices)

    run(tmp_path, task)


def test_a_complete_text(tmp_path: Path) -> None:
    async def task(client: AsyncTcpClient, service: SpeechService) -> None:
        voice = SynthesizeVoice(name="theo")
        await client.write_event(Synthesize(text=TEXT, voice=voice).event())
        received = await events(client, AudioStop.is_type)
        start = AudioStart.from_event(received[0])
        assert (start.rate, start.width, start.channels) == (24_000, 2, 1)
        assert len(received) > 5  # it came in pieces
        assert len(sound(received)) > 2 * 24_000
        assert np.abs(np.frombuffer(sound(received), "<i2")).max() > 1_000

    run(tmp_path, task)


def test_a_text_that_is_being_written(tmp_path: Path) -> None:
    async def task(client: AsyncTcpClient, service: SpeechService) -> None:
        await client.write_event(SynthesizeStart(voice=SynthesizeVoice(name="heart")).event())
        for word in TEXT.split():
            await client.write_event(SynthesizeChunk(text=f"{word} ").event())
        begun = await asyncio.wait_for(events(client, AudioChunk.is_type), PATIENCE_S)
        assert AudioStart.is_type(begun[0].type)  # before the end of the text
        await client.write_event(Synthesize(text=TEXT).event())  # a copy for old servers: ignored
        await client.write_event(SynthesizeStop().event())
        received = begun + await events(client, SynthesizeStopped.is_type)
        kinds = [event.type for event in received]
        assert kinds.count("audio-start") == kinds.count("audio-stop")
        seconds = len(sound(received)) / 48_000
        alone = len(pcm16(petit().generate(TEXT, voice="heart").samples)) / 24_000
        assert 0.6 * alone < seconds < 1.6 * alone  # spoken once

    run(tmp_path, task)


@pytest.mark.parametrize("text", ["🎉", "...", " "])
def test_a_text_without_words_is_silence(tmp_path: Path, text: str) -> None:
    async def task(client: AsyncTcpClient, service: SpeechService) -> None:
        await client.write_event(Synthesize(text=text).event())
        received = await events(client, AudioStop.is_type)
        await client.write_event(SynthesizeStart().event())
        await client.write_event(SynthesizeChunk(text=text).event())
        await client.write_event(SynthesizeStop().event())
        grown = await events(client, SynthesizeStopped.is_type)
        for found in received, grown:
            assert sound(found) == bytes(4_800)
            (stop,) = [event for event in found if AudioStop.is_type(event.type)]
            assert any(note.startswith("silence: ") for note in stop.data["notes"])

    run(tmp_path, task)


@pytest.mark.parametrize(
    ("text", "voice"),
    [("Hello.", "nobody"), (WRONG, "heart"), ("🎉", None)],
)
def test_errors_close_the_connection(tmp_path: Path, text: str, voice: str | None) -> None:
    """Home Assistant opens a connection for each text."""

    async def task(client: AsyncTcpClient, service: SpeechService) -> None:
        await client.write_event(Synthesize(text=text, voice=SynthesizeVoice(name=voice)).event())
        received = await events(client, Error.is_type)
        assert [event.type for event in received] == ["error"]
        assert Error.from_event(received[0]).text
        assert await client.read_event() is None

    run(tmp_path, task, strict=voice is None)


def test_a_disconnect_frees_the_slot(tmp_path: Path) -> None:
    async def task(client: AsyncTcpClient, service: SpeechService) -> None:
        await client.write_event(Synthesize(text=f"{TEXT} " * 20).event())
        await events(client, AudioChunk.is_type)
        assert service.tts.engine.stats().active == 1
        # `run` closes the connection, then waits a second for the slot

    run(tmp_path, task)
