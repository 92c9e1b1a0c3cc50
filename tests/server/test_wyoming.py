"""Home Assistant's protocol, by the client of its makers, of a server in this event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

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
from tests.server.running import petit

TEXT = "Hello there. How are you today? I hope that all is well with you and with your family."


def run(folder: Path, task: Callable[[AsyncTcpClient, SpeechService], Awaitable[None]]) -> None:
    """Let a client talk with a server; in the end no slot may be taken."""

    async def main() -> None:
        tts = petit()
        settings = Settings(voices=str(folder))
        service = SpeechService(Models(tts, settings), open_store(folder, tts), settings, Metrics())
        server = WyomingServer(service, host="127.0.0.1", port=0)
        await server.start()
        try:
            client = AsyncTcpClient("127.0.0.1", server.port)
            await client.connect()
            try:
                await task(client, service)
            finally:
                with contextlib.suppress(ConnectionError):  # the server may be the first to close
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
    told: list[Event] = []
    while not told or not until(told[-1].type):
        event = await client.read_event()
        assert event is not None, [one.type for one in told]
        told.append(event)
    return told


def sound(told: list[Event]) -> bytes:
    return b"".join(
        AudioChunk.from_event(event).audio for event in told if AudioChunk.is_type(event.type)
    )


def test_it_tells_of_itself(tmp_path: Path) -> None:
    async def task(client: AsyncTcpClient, service: SpeechService) -> None:
        await client.write_event(Describe().event())
        (told,) = await events(client, Info.is_type)
        (program,) = Info.from_event(told).tts
        assert program.installed
        assert program.supports_synthesize_streaming
        assert {"heart", "theo"} <= {voice.name for voice in program.voices}
        assert all(voice.languages for voice in program.voices)

    run(tmp_path, task)


def test_a_text_at_once(tmp_path: Path) -> None:
    async def task(client: AsyncTcpClient, service: SpeechService) -> None:
        voice = SynthesizeVoice(name="theo")
        await client.write_event(Synthesize(text=TEXT, voice=voice).event())
        told = await events(client, AudioStop.is_type)
        start = AudioStart.from_event(told[0])
        assert (start.rate, start.width, start.channels) == (24_000, 2, 1)
        assert len(told) > 5  # it came in pieces
        assert len(sound(told)) > 2 * 24_000
        assert np.abs(np.frombuffer(sound(told), "<i2")).max() > 1_000

    run(tmp_path, task)


def test_a_text_that_is_being_written(tmp_path: Path) -> None:
    async def task(client: AsyncTcpClient, service: SpeechService) -> None:
        await client.write_event(SynthesizeStart(voice=SynthesizeVoice(name="heart")).event())
        for word in TEXT.split():
            await client.write_event(SynthesizeChunk(text=f"{word} ").event())
        begun = await asyncio.wait_for(events(client, AudioChunk.is_type), 10)
        assert AudioStart.is_type(begun[0].type)  # before the text has come to its end
        await client.write_event(Synthesize(text=TEXT).event())  # a copy for old servers: ignored
        await client.write_event(SynthesizeStop().event())
        told = begun + await events(client, SynthesizeStopped.is_type)
        kinds = [event.type for event in told]
        assert kinds.count("audio-start") == kinds.count("audio-stop")
        seconds = len(sound(told)) / 48_000
        alone = len(pcm16(petit().generate(TEXT, voice="heart").samples)) / 24_000
        assert 0.6 * alone < seconds < 1.6 * alone  # said once

    run(tmp_path, task)


@pytest.mark.parametrize(("text", "voice"), [("Hello.", "nobody"), ("🎉", "heart")])
def test_what_is_wrong_is_told(tmp_path: Path, text: str, voice: str) -> None:
    """The connection ends by it; Home Assistant makes another for each text."""

    async def task(client: AsyncTcpClient, service: SpeechService) -> None:
        await client.write_event(Synthesize(text=text, voice=SynthesizeVoice(name=voice)).event())
        told = await events(client, Error.is_type)
        assert [event.type for event in told] == ["error"]
        assert Error.from_event(told[0]).text
        assert await client.read_event() is None

    run(tmp_path, task)


def test_who_goes_frees_the_slot(tmp_path: Path) -> None:
    async def task(client: AsyncTcpClient, service: SpeechService) -> None:
        await client.write_event(Synthesize(text=f"{TEXT} " * 20).event())
        await events(client, AudioChunk.is_type)
        assert service.tts.engine.stats().active == 1
        # `run` closes the connection, and then waits a second for the slot

    run(tmp_path, task)
