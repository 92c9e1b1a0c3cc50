"""Random and mutated messages over every WebSocket: no server error, no hang, no slot left.

`CAUSERIE_FUZZ=10000` runs 10,000 conversations; a failure prints the number of its conversation,
which `CAUSERIE_FUZZ_ONLY=1234` repeats.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.patience import PATIENCE_S
from tests.server.running import Running, receive, running, send

pytestmark = pytest.mark.slow

NUM_CASES = int(os.environ.get("CAUSERIE_FUZZ", "160"))
ONLY = os.environ.get("CAUSERIE_FUZZ_ONLY")
AT_ONCE = 6

Message = dict[str, Any]

TEXTS = [
    "Hi. ", "Yes", " ", "", "No. Well. ", "A b ", "…", "☃ ", "\n\n", "Go on!", "12.5 % of $3. ",
    "\ud800", "\0", "<break time='1s'/>", "é̂", "a" * 40, "?! ?! ", "Dr. ", "日本語。", "\u202e. ",
]  # fmt: skip
NAMES = [None, "a", "b", "c", "", "é", "\ud800", "x" * 300, "root"]
NUMBERS = [0, 1, -1, 0.5, 1.5, 2, 4, 80, 700, 10**6, 10**30, -0.0, 1e308, 24_000, 8000]
STRANGE = [None, True, False, [], {}, [1], {"a": 1}, "", "x", "NaN", 0, -1, 2**63, 1e400, "heart"]
VOICES = [
    "heart",
    "\ud800",
    "../heart",
    "\0",
    "theo",
    "marin",
    "nobody",
    None,
    {"id": "heart"},
    {"id": 3},
]


def vllm_omni(draw: random.Random) -> Message:
    """A message of vLLM-Omni's protocol."""
    some: list[Callable[[], Message]] = [
        lambda: {"type": "input.text", "text": draw.choice(TEXTS)},
        lambda: {"type": "input.text", "text": draw.choice(TEXTS)},
        lambda: {"type": "input.done"},
        lambda: {"type": "input.cancel"},
        lambda: {"type": "input.cancel", "played_ms": draw.choice(NUMBERS)},
        lambda: {"type": "input.cancel", "utterance_index": draw.choice([0, 1, 2, 9])},
        lambda: {
            "type": "session.config",
            "voice": draw.choice(VOICES),
            "response_format": draw.choice(["pcm", "mp3", "opus", "wav", "ulaw", "midi"]),
            "speed": draw.choice(NUMBERS),
            "seed": draw.choice(NUMBERS),
            "conversation": draw.random() < 0.5,
        },
        lambda: {"type": "session.config", "conversation": True, "max_duration_s": 1},
        lambda: {"type": "session.config", "temperature": draw.choice(NUMBERS)},
        lambda: {"type": "session.config", "sample_rate": draw.choice(NUMBERS)},
    ]
    if draw.random() < 0.03:
        return {"type": "session.close"}
    return draw.choice(some)()


def elevenlabs(draw: random.Random) -> Message:
    """A message of ElevenLabs' protocol."""
    name = draw.choice(NAMES)
    some: list[Callable[[], Message]] = [
        lambda: {"text": draw.choice(TEXTS), "context_id": name},
        lambda: {"text": draw.choice(TEXTS), "context_id": name, "flush": True},
        lambda: {
            "text": " ",
            "context_id": name,
            "voice_settings": {"speed": draw.choice(NUMBERS)},
        },
        lambda: {"context_id": name, "flush": True},
        lambda: {"context_id": name, "close_context": True},
        lambda: {"text": "Yes. ", "context_id": name, "close_context": draw.random() < 0.5},
        lambda: {"text": "", "contextId": name},
        lambda: {"text": " ", "generation_config": {"chunk_length_schedule": [50]}},
    ]
    if draw.random() < 0.03:
        return {"close_socket": True}
    return draw.choice(some)()


def realtime(draw: random.Random) -> Message:
    """An event of OpenAI's Realtime protocol."""
    name = draw.choice(NAMES)
    item = {
        "type": draw.choice(["message", "message", "item_reference", "function_call"]),
        "id": name,
        "role": draw.choice(["user", "user", "assistant", "system", "dog"]),
        "content": [{"type": "input_text", "text": draw.choice(TEXTS)}],
    }
    output = {
        "voice": draw.choice(VOICES),
        "format": {"type": draw.choice(["audio/pcm", "audio/pcmu", "audio/pcma", "audio/mp3"])},
        "speed": draw.choice(NUMBERS),
    }
    hello = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi."}]}
    some: list[Callable[[], Message]] = [
        lambda: {"type": "session.update", "session": {"audio": {"output": output}}},
        lambda: {"type": "session.update", "session": {"type": "realtime", "instructions": "x"}},
        lambda: {"type": "conversation.item.create", "item": item, "previous_item_id": name},
        lambda: {"type": "conversation.item.create", "item": hello},
        lambda: {"type": "conversation.item.delete", "item_id": name},
        lambda: {"type": "conversation.item.retrieve", "item_id": name},
        lambda: {"type": "conversation.item.truncate", "item_id": name, "content_index": 0,
                 "audio_end_ms": draw.choice(NUMBERS)},
        lambda: {"type": "response.create"},
        lambda: {"type": "response.create", "response": {"input": [item, hello]}},
        lambda: {"type": "response.create", "response": {"input": [hello], "conversation": "none"}},
        lambda: {"type": "response.create", "response": {
            "input": [hello], "max_output_tokens": draw.choice(NUMBERS), "metadata": {"a": "b"}}},
        lambda: {"type": "response.cancel"},
        lambda: {"type": "response.cancel", "response_id": name},
        lambda: {"type": "input_audio_buffer.append", "audio": "AAAA"},
    ]  # fmt: skip
    return draw.choice(some)()


def mutated(draw: random.Random, message: Any) -> Any:
    """A value with a random part replaced."""
    if isinstance(message, dict) and message and draw.random() < 0.8:
        key = draw.choice(list(message))
        what = draw.random()
        if what < 0.2:
            return {other: value for other, value in message.items() if other != key}
        if what < 0.3:
            return {**message, draw.choice(["text", "type", "extra", key]): draw.choice(STRANGE)}
        return {**message, key: mutated(draw, message[key])}
    if isinstance(message, list) and message and draw.random() < 0.6:
        return [*message[:-1], mutated(draw, message[-1])]
    return draw.choice([*STRANGE, *TEXTS])


def written(draw: random.Random, message: Any) -> str | bytes:
    """A message as it is sent, mostly valid."""
    text = json.dumps(message)
    what = draw.random()
    if what < 0.93:
        return text
    garbage = [
        lambda: text[: draw.randrange(len(text))],
        lambda: text.encode(),
        lambda: draw.randbytes(draw.randrange(50)),
        lambda: text.replace('"', "'"),
        lambda: "[" * draw.choice([5, 5000]) + text,
        lambda: json.dumps({"text": "a" * 300_000}),
        lambda: "",
        lambda: '{"type": "input.text", "text": ' + "9" * 6000 + "}",
    ]
    return draw.choice(garbage)()


def is_over_vllm_omni(message: Message) -> bool:
    return message.get("type") == "session.configured" and message["max_duration_s"] == 7


def is_over_realtime(message: Message) -> bool:
    return message.get("type") == "session.updated" and message["session"]["instructions"] == "over"


#: Path, messages, a last message, and what answers it: None where the connection closes then.
SOCKETS: list[tuple[str, Callable[[random.Random], Message], Message, Any]] = [
    ("/v1/audio/speech/stream", vllm_omni, {"type": "session.config", "max_duration_s": 7},
     is_over_vllm_omni),
    ("/v1/text-to-speech/heart/stream-input", elevenlabs, {"close_socket": True}, None),
    ("/v1/text-to-speech/heart/multi-stream-input?output_format=pcm_8000", elevenlabs,
     {"close_socket": True}, None),
    ("/v1/realtime", realtime, {"type": "session.update", "session": {"instructions": "over"}},
     is_over_realtime),
]  # fmt: skip


async def converse(server: Running, number: int) -> str:
    """Hold one conversation; returns how it ended."""
    draw = random.Random(f"conversation {number}")
    path, make, last, is_over = SOCKETS[number % len(SOCKETS)]
    close_timeout = draw.choice([0.01, 5])
    async with connect(
        server.base + path, close_timeout=close_timeout, max_size=None, open_timeout=PATIENCE_S
    ) as socket:
        try:
            for _ in range(draw.randrange(1, 14)):
                message: Any = make(draw)
                while draw.random() < 0.25:
                    message = mutated(draw, message)
                await socket.send(written(draw, message))
                what = draw.random()
                if what < 0.2:
                    await asyncio.sleep(draw.choice([0, 0.01, 0.05]))
                elif what < 0.4:
                    await drain(socket)
            how = draw.random()
            if how < 0.15:
                return "left"
            if how < 0.3:
                socket.transport.abort()
                return "aborted"
            await socket.send(json.dumps(last))
            await asyncio.wait_for(wait_for_answer(socket, is_over), PATIENCE_S)
            return "over"
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd is not None else None
            assert code in (1000, 1008, 1009, 1013), code
            return f"closed {code}"


async def wait_for_answer(socket: ClientConnection, is_over: Any) -> None:
    """Wait for the answer to the last message, or for the end of the connection."""
    while True:
        data = await socket.recv()
        if isinstance(data, str):
            answer = json.loads(data)
            assert "internal_error" not in data, answer
            if is_over is not None and is_over(answer):
                return


async def drain(socket: ClientConnection) -> None:
    """Receive what comes soon."""
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(socket.recv(), 0.03)


async def converse_all(server: Running, numbers: list[int]) -> Counter[str]:
    """Hold all conversations; returns how they ended."""
    ends: Counter[str] = Counter()
    left = iter(numbers)

    async def some() -> None:
        for number in left:
            try:
                ends[await converse(server, number)] += 1
            except Exception as error:
                raise AssertionError(f"CAUSERIE_FUZZ_ONLY={number} shows: {error!r}") from error

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return ends


@pytest.mark.filterwarnings("ignore:unclosed transport")
def test_the_server_survives_all_messages(tmp_path: Path) -> None:
    with running(tmp_path, max_input_chars=400) as server:
        numbers = [int(ONLY)] if ONLY else list(range(NUM_CASES))
        ends = asyncio.run(converse_all(server, numbers))
        print(ends)
        server.wait_for(lambda: server.is_idle)
        if not ONLY:
            assert ends["over"] > NUM_CASES / 5
        with server.connect("/v1/audio/speech/stream") as socket:
            send(socket, type="input.text", text="Still here.")
            send(socket, type="input.done")
            assert receive(socket)["sentence_text"] == "Still here."
