"""What a Realtime session remembers of responses that were interrupted."""

from __future__ import annotations

import base64
import functools
from collections.abc import Iterator

import numpy as np
import pytest

from causerie.tts import TTS
from tests.contexts import recorded
from tests.server.realtime.hearing import Client, talk
from tests.server.running import Running, petit, running, that_hears

FRAME_MS = 80
FIRST_WORD_MS = 500
LONG = "The next train leaves from platform four in ten minutes, and it stops at every station."


@functools.cache
def tts() -> TTS:
    """petit, with a context for all that is heard here."""
    return TTS(that_hears(petit().checkpoint))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("voices"), tts()) as here:
        yield here


def test_twenty_interruptions(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The context holds what was heard, within one frame, if that was a word."""
    random = np.random.default_rng(0)
    contexts = recorded(tts(), monkeypatch)

    def frames(number: int) -> int:
        return sum(turn.codes.shape[1] for turn in contexts[number] if turn.codes is not None)

    async def ask(client: Client) -> None:
        message = {"role": "user", "content": [{"type": "input_text", "text": LONG}]}
        await client.connection.conversation.item.create(item={"type": "message", **message})  # type: ignore[arg-type,typeddict-item]
        await client.connection.response.create()

    async def task(client: Client) -> None:
        heard_ms = []
        for _ in range(20):
            await ask(client)
            wanted_ms, sent_ms = random.uniform(80, 1200), 0.0
            while sent_ms < wanted_ms:
                delta = await client.until("response.output_audio.delta")
                sent_ms += len(base64.b64decode(delta.delta)) / 48
            await client.connection.response.cancel()
            await client.until("response.done")
            heard_ms.append(int(random.uniform(0, sent_ms)))
            await client.connection.conversation.item.truncate(
                item_id=delta.item_id, content_index=0, audio_end_ms=heard_ms[-1]
            )
            await client.until("conversation.item.truncated")
        await ask(client)
        await client.until("response.done")
        assert len(contexts) == 21
        for number, expected_ms in enumerate(heard_ms):
            kept_ms = (frames(number + 1) - frames(number)) * FRAME_MS
            if kept_ms or expected_ms > FIRST_WORD_MS:
                assert expected_ms - FRAME_MS < kept_ms <= expected_ms

    talk(server, task)
