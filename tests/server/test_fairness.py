"""A client that fills the slots and the queue leaves a place to others, on every protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from wyoming.audio import AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.tts import Synthesize

from causerie.server.clients import client_at
from causerie.tts import TTS
from tests.patience import PATIENCE_S
from tests.server.running import Running, running

KEYS = ("first", "second", "third")
NUM_SLOTS, MAX_QUEUE = 1, 2
#: One piece, so that it has a slot for a while.
LONG = {"input": "We go down to the river, and we cross the bridge as long as it stands, " * 3}
HELLO = {"input": "Hello.", "voice": "heart", "max_duration_s": 0.3}


@pytest.fixture(scope="module")
def tts() -> TTS:
    return TTS.from_pretrained("petit", max_streams=NUM_SLOTS, max_queue=MAX_QUEUE)


def header(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def post(server: Running, key: str, path: str, **body: Any) -> httpx.Response:
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        return await http.post(server.http + path, json=body, headers=header(key))


async def speak(server: Running, key: str, **body: Any) -> httpx.Response:
    return await post(server, key, "/v1/audio/speech", **{"response_format": "pcm", **body})


@contextlib.asynccontextmanager
async def flooded(
    server: Running, speech: Mapping[str, Any] = LONG
) -> AsyncIterator[list[asyncio.Task[httpx.Response]]]:
    """The first client has all places; yields its replies."""
    tasks = []
    for num_wanted in range(1, NUM_SLOTS + MAX_QUEUE + 1):
        tasks.append(asyncio.create_task(speak(server, KEYS[0], **speech)))
        while num_places(server) < num_wanted:
            await asyncio.sleep(0.005)
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def num_places(server: Running) -> int:
    stats = server.tts.engine.stats()
    return stats.active + stats.waiting


async def by_http(server: Running, key: str) -> None:
    answer = await speak(server, key, **HELLO)
    assert answer.status_code == 200, answer.text


async def by_batch(server: Running, key: str) -> None:
    answer = await post(server, key, "/v1/audio/speech/batch", items=[HELLO])
    assert answer.json()["succeeded"] == 1, answer.text


async def by_dialogue(server: Running, key: str) -> None:
    turns = [{"voice": "heart", "text": "Hello."}, {"voice": "theo", "text": "Hello."}]
    answer = await post(server, key, "/v1/audio/dialogue", turns=turns)
    assert answer.status_code == 200, answer.text


async def by_elevenlabs(server: Running, key: str) -> None:
    answer = await post(server, key, "/v1/text-to-speech/heart", text="Hello.")
    assert answer.status_code == 200, answer.text


async def talk(
    server: Running, path: str, messages: list[dict[str, Any]], last: str, **options: Any
) -> None:
    """Send messages to a WebSocket, and read until one of a type or with a field."""
    async with connect(server.base + path, max_size=None, **options) as socket:
        for message in messages:
            await socket.send(json.dumps(message))
        async for data in socket:
            if isinstance(data, bytes):
                continue
            message = json.loads(data)
            assert message.get("type") != "error", message
            assert not message.get("error"), message
            if last in (message.get("type"), *message):
                assert message.get("reason") != "error", message
                return
    raise AssertionError("the WebSocket was closed")


async def by_elevenlabs_socket(server: Running, key: str) -> None:
    messages = [{"text": " ", "xi_api_key": key}, {"text": "Hello. "}, {"text": ""}]
    await talk(server, "/v1/text-to-speech/heart/stream-input", messages, "isFinal")


async def by_vllm_omni(server: Running, key: str) -> None:
    messages = [{"type": "session.config"}, {"type": "input.text", "text": "Hello."}]
    await talk(
        server,
        f"/v1/audio/speech/stream?api_key={key}",
        [*messages, {"type": "input.done"}],
        "session.done",
    )


async def by_realtime(server: Running, key: str) -> None:
    content = [{"type": "input_text", "text": "Hello."}]
    item = {"type": "message", "role": "user", "content": content}
    messages = [{"type": "conversation.item.create", "item": item}, {"type": "response.create"}]
    protocols = ["realtime", f"openai-insecure-api-key.{key}"]
    await talk(server, "/v1/realtime", messages, "response.done", subprotocols=protocols)


async def by_wyoming(server: Running, key: str) -> None:
    """Wyoming has no keys: the client is its address."""
    assert server.wyoming is not None
    async with AsyncTcpClient("127.0.0.1", server.wyoming) as client:
        await client.write_event(Synthesize(text="Hello.").event())
        while True:
            event = await client.read_event()
            assert event is not None
            assert not Error.is_type(event.type), event
            if AudioStop.is_type(event.type):
                return


@pytest.mark.parametrize(
    "way",
    [
        by_http, by_batch, by_dialogue, by_elevenlabs, by_elevenlabs_socket, by_vllm_omni,
        by_realtime, by_wyoming,
    ],
)  # fmt: skip
def test_a_full_queue_gives_a_place_to_another_client(tts: TTS, tmp_path: Path, way: Any) -> None:
    async def main(server: Running) -> None:
        async with flooded(server) as tasks:
            await asyncio.wait_for(way(server, KEYS[1]), PATIENCE_S)
            await asyncio.wait(tasks[-1:])
            refused = tasks[-1].result()
            assert refused.status_code == 429, "the latest request keeps its place"
            assert refused.json()["error"]["code"] == "queue_full"
            assert int(refused.headers["retry-after"]) >= 1
            first = await tasks[0]
            assert first.status_code == 200, "a reply in progress was cut off"

    with running(tmp_path, tts, api_key=KEYS, wyoming=0) as server:
        asyncio.run(main(server))


def test_a_client_alone_has_all_places_and_no_more(tts: TTS, tmp_path: Path) -> None:
    async def main(server: Running) -> None:
        async with flooded(server) as tasks:
            refused = await speak(server, KEYS[0], **HELLO)
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) >= 1
            answers = await asyncio.gather(*tasks)
            assert [answer.status_code for answer in answers] == [200] * len(answers)

    with running(tmp_path, tts, api_key=KEYS) as server:
        asyncio.run(main(server))


def test_a_free_slot_goes_to_the_client_with_fewer(tts: TTS, tmp_path: Path) -> None:
    """It is spoken before the requests that waited for longer."""
    longest = {"input": 3 * LONG["input"], "one_prompt": True}  # so that it has the slot for long

    async def main(server: Running) -> None:
        async with flooded(server, longest) as tasks:
            answer = await speak(server, KEYS[1], **HELLO)
            assert answer.status_code == 200
            assert not tasks[1].done(), "it waited for a client with more requests"

    with running(tmp_path, tts, api_key=KEYS) as server:
        asyncio.run(main(server))


@pytest.mark.parametrize(
    ("address", "client"),
    [
        (None, "unknown"),
        (("10.0.0.1", 4000), "10.0.0.1"),
        (("::ffff:10.0.0.1", 4000, 0, 0), "10.0.0.1"),
        (("2001:db8:1:2:3::4", 1), "2001:db8:1:2::/64"),
        (("2001:db8:1:2::9", 1), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1), "fe80::/64"),
        (("testclient", 1), "testclient"),
    ],
)
def test_addresses_of_one_network_are_one_client(address: Any, client: str) -> None:
    assert client_at(address) == client
