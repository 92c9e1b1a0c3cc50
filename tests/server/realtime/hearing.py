"""A server that hears, with words that the test chooses, and a client that talks to it."""

from __future__ import annotations

import asyncio
import base64
import functools
import math
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from causerie.tts import TTS
from tests.patience import PATIENCE_S
from tests.server.running import Running, petit, that_hears

QUESTION = "Is it far to the station?"
RATE = 24_000


class Script:
    """A recognizer that hears what the test wants, and remembers how much sound it got.

    Attributes:
        words_per_s: it hears so many words of the text, at most.
        may_hear: it waits for it.
    """

    def __init__(self) -> None:
        self.text, self.lengths_s, self.words_per_s = QUESTION, list[float](), math.inf
        self.may_hear = threading.Event()

    def __call__(self, samples: np.ndarray) -> str:
        seconds = len(samples) / 16_000
        self.lengths_s.append(seconds)
        assert self.may_hear.wait(PATIENCE_S)
        words = self.text.split()
        return " ".join(words[: int(min(self.words_per_s * seconds, len(words)))])


SCRIPT = Script()


@functools.cache
def tts() -> TTS:
    """petit, as a model that hears others."""
    checkpoint = that_hears(petit().checkpoint)
    return TTS(checkpoint, recognizer=SCRIPT, max_streams=3, max_queue=2)


@functools.cache
def question() -> np.ndarray:
    """A question with a second of faint noise before and after it, at 24 kHz."""
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * 0.001
    spoken = petit().generate(QUESTION, voice="oscar", seed=1).samples
    return np.concatenate([noise, spoken, noise])


class Client:
    """OpenAI's client, which remembers all events."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection, self.events = connection, list[Any]()

    async def until(self, *kinds: str) -> Any:
        """The next event of a kind."""
        while True:
            event = await asyncio.wait_for(self.connection.recv(), PATIENCE_S)
            self.events.append(event)
            assert "error" in kinds or event.type != "error", event
            if event.type in kinds:
                return event

    async def update(self, **session: Any) -> Any:
        await self.connection.session.update(session={"type": "realtime", **session})
        return (await self.until("session.updated")).session

    async def send(self, data: bytes, size: int = 4800, pause_s: float = 0.0) -> None:
        for start in range(0, len(data), size):
            part = base64.b64encode(data[start : start + size]).decode()
            await self.connection.input_audio_buffer.append(audio=part)
            await asyncio.sleep(pause_s)

    async def send_live(self, data: bytes) -> None:
        """Send sound of 24 kHz as a microphone does, in blocks of 20 ms."""
        started = time.monotonic()
        for start in range(0, len(data), 960):
            end_s = (start + 960) / (2 * RATE)
            await asyncio.sleep(max(0.0, started + end_s - time.monotonic()))
            await self.send(data[start : start + 960])

    def kinds(self) -> list[str]:
        """The kinds of all events, without deltas."""
        return [event.type for event in self.events if not event.type.endswith("delta")]


@asynccontextmanager
async def connected(server: Running) -> AsyncIterator[Client]:
    async with (
        AsyncOpenAI(base_url=server.http + "/v1", api_key="none") as openai,
        openai.realtime.connect(model="gpt-realtime") as connection,
    ):
        yield Client(connection)


def talk(server: Running, task: Callable[[Client], Awaitable[None]]) -> None:
    async def main() -> None:
        async with connected(server) as client:
            await task(client)

    asyncio.run(asyncio.wait_for(main(), 2 * PATIENCE_S))
