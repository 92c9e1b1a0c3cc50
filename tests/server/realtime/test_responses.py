"""OpenAI's Realtime protocol, by OpenAI's client against a real server."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.exceptions import InvalidStatus

from causerie.audio.io import pcm16
from causerie.server.voices.openai_names import openai_voice
from tests.patience import PATIENCE_S
from tests.server.running import Running, petit, receive, running, send

TEXT = "Hello there. How are you today? I hope that all is well with you and with your family."
LONG = "All the words that I know, and so on and on. " * 8


#: The events of a response, without deltas.
RESPONSE = (
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("voices"), max_input_chars=2000) as here:
        yield here


def talk(server: Running, task: Callable[[AsyncRealtimeConnection], Awaitable[None]]) -> None:
    """Run a task with a connection of OpenAI's client."""

    async def main() -> None:
        async with connected(server) as connection:
            await task(connection)

    asyncio.run(asyncio.wait_for(main(), 2 * PATIENCE_S))


@asynccontextmanager
async def connected(server: Running, key: str = "none") -> AsyncIterator[AsyncRealtimeConnection]:
    async with (
        AsyncOpenAI(base_url=server.http + "/v1", api_key=key) as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        yield connection


async def until(connection: AsyncRealtimeConnection, *kinds: str) -> list[Any]:
    """All events up to one of a kind."""
    events: list[Any] = []
    while not events or events[-1].type not in kinds:
        events.append(await asyncio.wait_for(connection.recv(), PATIENCE_S))
        assert "error" in kinds or events[-1].type != "error", events[-1]
    return events


async def say(connection: AsyncRealtimeConnection, text: str, **response: Any) -> list[Any]:
    """Create a message and a response; returns its events."""
    await create(connection, text)
    await connection.response.create(response=response)
    return await until(connection, "response.done")


async def create(connection: AsyncRealtimeConnection, text: str) -> None:
    await connection.conversation.item.create(
        item={
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": text}],
        }
    )


def sound(events: list[Any]) -> bytes:
    deltas = [event.delta for event in events if event.type == "response.output_audio.delta"]
    return b"".join(map(base64.b64decode, deltas))


def kinds(events: list[Any]) -> list[str]:
    """The kinds of events, without repetitions."""
    names = [event.type for event in events]
    return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]


def test_a_response_speaks_the_message(server: Running) -> None:
    async def task(connection: AsyncRealtimeConnection) -> None:
        (created,) = await until(connection, "session.created")
        assert created.session.audio.output.voice == "heart"
        await connection.session.update(
            session={
                "type": "realtime",
                "audio": {"output": {"voice": "marin", "speed": 1.0}},
                "instructions": "Be kind.",
            }
        )
        (updated,) = await until(connection, "session.updated")
        assert updated.session.audio.output.voice == "marin"
        assert updated.session.instructions == "Be kind."
        assert updated.session.id == created.session.id
        events = await say(connection, TEXT, metadata={"topic": "greeting"}, seed=7)
        assert [k for k in kinds(events) if not k.endswith("delta")] == [
            "conversation.item.added",
            "conversation.item.done",
            *RESPONSE,
        ]
        assert len({event.event_id for event in events}) == len(events)
        voice = openai_voice("marin", petit().voices)
        expected = petit().generate(TEXT, voice=voice, seed=7).samples
        assert sound(events) == pcm16(expected).tobytes()
        seconds = len(expected) / 24_000
        transcript = [e.delta for e in events if e.type == "response.output_audio_transcript.delta"]
        assert "".join(transcript) == TEXT
        done = events[-1].response
        assert done.status == "completed"
        assert done.metadata == {"topic": "greeting"}
        assert done.conversation_id == events[2].response.conversation_id
        assert done.usage.output_tokens == round(seconds * 12.5)
        assert done.usage.total_tokens == done.usage.input_tokens + done.usage.output_tokens
        (item,) = done.output
        assert (item.role, item.status, item.content[0].transcript) == (
            "assistant",
            "completed",
            TEXT,
        )
        user, ours = (e for e in events if e.type == "conversation.item.added")
        assert ours.previous_item_id == user.item.id
        assert user.item.content[0].text == TEXT

    talk(server, task)


def test_audio_is_sent_while_it_is_generated(server: Running) -> None:
    async def task(connection: AsyncRealtimeConnection) -> None:
        await create(connection, LONG)
        await connection.response.create()
        await until(connection, "response.output_audio.delta")
        assert not server.is_idle
        await until(connection, "response.done")

    talk(server, task)


def test_out_of_band_responses_and_their_settings(server: Running) -> None:
    async def task(connection: AsyncRealtimeConnection) -> None:
        def options(text: str, kind: str) -> dict[str, Any]:
            content = [{"type": "input_text", "text": text}]
            return {
                "conversation": "none",
                "input": [{"type": "message", "role": "user", "content": content}],
                "audio": {"output": {"voice": "theo", "format": {"type": kind}}},
                "metadata": {"kind": kind},
            }

        await until(connection, "session.created")
        for kind in ("audio/pcm", "audio/pcmu", "audio/pcma"):
            await connection.response.create(response=options("Hello there, my friend.", kind))
        events: list[Any] = []
        for _ in range(3):
            events += await until(connection, "response.done")
        assert not any(event.type.startswith("conversation") for event in events)
        done = [event.response for event in events if event.type == "response.done"]
        for response in done:
            kind = response.metadata["kind"]
            own = [event for event in events if getattr(event, "response_id", "") == response.id]
            rate = 48_000 if kind == "audio/pcm" else 8000
            assert len(sound(own)) / rate == pytest.approx(
                response.usage.output_tokens / 12.5, abs=0.01
            )
            assert response.conversation_id is None
            assert response.audio.output.voice == "theo"
        assert {response.metadata["kind"] for response in done} == {
            "audio/pcm", "audio/pcmu", "audio/pcma",
        }  # fmt: skip

    talk(server, task)


def test_speed(server: Running) -> None:
    async def task(connection: AsyncRealtimeConnection) -> None:
        await until(connection, "session.created")
        await connection.session.update(
            session={"type": "realtime", "audio": {"output": {"speed": 2.0}}}
        )
        await until(connection, "session.updated")
        events = await say(connection, TEXT)
        frames = events[-1].response.usage.output_tokens
        assert len(sound(events)) / 48_000 == pytest.approx(frames / 12.5 / 2, abs=0.01)

    talk(server, task)


def test_cancel_and_truncate(server: Running) -> None:
    async def task(connection: AsyncRealtimeConnection) -> None:
        await create(connection, LONG)
        await connection.response.create()
        events = await until(connection, "response.output_audio.delta")
        cancelled = server.num_cancelled
        await connection.response.cancel()
        events += await until(connection, "response.done")
        server.wait_for_cancellation(cancelled)
        done = events[-1].response
        assert (done.status, done.status_details.reason) == ("cancelled", "client_cancelled")
        assert kinds(events)[-6:] == [
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
        ]
        (item,) = done.output
        assert item.status == "incomplete"
        assert LONG.startswith(item.content[0].transcript)
        sent_ms = len(sound(events)) // 48
        await connection.conversation.item.truncate(
            item_id=item.id, content_index=0, audio_end_ms=sent_ms + 81
        )
        (error,) = await until(connection, "error")
        assert error.error.code == "audio_end_too_late"
        await connection.conversation.item.truncate(
            item_id=item.id, content_index=0, audio_end_ms=80
        )
        (truncated,) = await until(connection, "conversation.item.truncated")
        assert (truncated.item_id, truncated.audio_end_ms) == (item.id, 80)
        await connection.response.cancel()
        (error,) = await until(connection, "error")
        assert error.error.code == "response_cancel_not_active"
        assert (await say(connection, "Hello."))[-1].response.status == "completed"

    talk(server, task)


def test_the_context_is_what_was_heard(server: Running) -> None:
    """The context of a response has all, a part, or none of the response before it."""

    async def context_of_the_next(
        audio_end_ms: int | None, voice: str = "heart"
    ) -> tuple[int, int]:
        async with connected(server) as connection:
            first = (await say(connection, TEXT))[-1].response
            if audio_end_ms is not None:
                item = first.output[0].id
                await connection.conversation.item.truncate(
                    item_id=item, content_index=0, audio_end_ms=audio_end_ms
                )
                await until(connection, "conversation.item.truncated")
                await connection.conversation.item.retrieve(item_id=item)
                (item,) = await until(connection, "conversation.item.retrieved")
                assert TEXT.startswith(item.item.content[0].transcript)
                assert len(item.item.content[0].transcript) < len(TEXT)
            output = {"audio": {"output": {"voice": voice}}}
            second = (await say(connection, "Good bye.", **output))[-1].response
            read = second.usage.input_token_details.audio_tokens
            alone = {"conversation": "none", "input": [ITEM], **output}
            await connection.response.create(response=alone)
            bare = (await until(connection, "response.done"))[-1].response
            return read - bare.usage.input_token_details.audio_tokens, first.usage.output_tokens

    async def main() -> None:
        read, spoken = await context_of_the_next(None)
        assert read == spoken
        read, spoken = await context_of_the_next(1600)
        assert read == 20 < spoken
        assert (await context_of_the_next(0))[0] == 0
        assert (await context_of_the_next(None, voice="theo"))[0] == 0

    asyncio.run(asyncio.wait_for(main(), 2 * PATIENCE_S))


def test_items_are_spoken_once_and_in_order(server: Running) -> None:
    async def task(connection: AsyncRealtimeConnection) -> None:
        await create(connection, "and this second.")
        added = (await until(connection, "conversation.item.done"))[-1].item
        await connection.conversation.item.create(
            previous_item_id="root",
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "This comes first,"}],
            },
        )
        await connection.conversation.item.create(
            previous_item_id=added.id,
            item={
                "type": "message",
                "role": "system",
                "content": [{"type": "input_text", "text": "Nobody reads this."}],
            },
        )
        await connection.response.create()
        events = await until(connection, "response.done")
        (item,) = events[-1].response.output
        assert item.content[0].transcript == "This comes first, and this second."
        await connection.response.create()
        (error,) = await until(connection, "error")
        assert error.error.code == "no_input"
        await connection.conversation.item.delete(item_id=item.id)
        (deleted,) = await until(connection, "conversation.item.deleted")
        assert deleted.item_id == item.id
        reference = {"type": "item_reference", "id": added.id}
        await connection.response.create(response={"input": [reference], "conversation": "none"})
        events = await until(connection, "response.done")
        assert events[-1].response.output[0].content[0].transcript == "and this second."

    talk(server, task)


def test_max_output_tokens_limits_the_audio(server: Running) -> None:
    async def task(connection: AsyncRealtimeConnection) -> None:
        events = await say(connection, TEXT, max_output_tokens=5)
        done = events[-1].response
        assert (done.status, done.status_details.reason) == ("incomplete", "max_output_tokens")
        assert len(sound(events)) == 5 * 1920 * 2

    talk(server, task)


def test_the_conversation_has_one_response_at_a_time(server: Running) -> None:
    async def task(connection: AsyncRealtimeConnection) -> None:
        await create(connection, LONG)
        await connection.response.create()
        await create(connection, "Hello.")
        await connection.response.create(event_id="mine")
        (*_, error) = await until(connection, "error")
        assert error.error.code == "conversation_already_has_active_response"
        assert error.error.event_id == "mine"
        await connection.response.cancel()
        await until(connection, "response.done")
        await connection.response.create()
        assert (await until(connection, "response.done"))[-1].response.status == "completed"

    talk(server, task)


ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi."}]}


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ("nonsense", "invalid_json"),
        (b"\0", "invalid_json"),
        ({}, "unknown_event"),
        ({"type": "input_audio_buffer.append", "audio": "AAAA"}, "invalid_value"),
        ({"type": "input_audio_buffer.append", "audio": "?"}, "invalid_value"),
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter"),
        ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty"),
        ({"type": "session.update", "session": {"audio": {"input": {"format": {
            "type": "audio/pcm", "rate": 8000}}}}}, "invalid_value"),
        ({"type": "session.update", "session": {"audio": {"input": {"turn_detection": {
            "type": "server_vad", "threshold": 2}}}}}, "invalid_value"),
        ({"type": "conversation.item.create", "item": {"type": "function_call_output",
            "output": "1"}}, "missing_required_parameter"),
        ({"type": []}, "unknown_event"),
        ({"type": "session.update"}, "missing_required_parameter"),
        ({"type": "session.update", "session": {"type": "transcription"}}, "invalid_value"),
        ({"type": "session.update", "session": {"audio": {"output": {"voice": "x"}}}},
         "voice_not_found"),
        ({"type": "session.update", "session": {"audio": {"output": {"speed": 9}}}},
         "invalid_value"),
        ({"type": "session.update", "session": {"audio": {"output": {"format": {
            "type": "audio/pcmu", "rate": 24000}}}}}, "invalid_value"),
        ({"type": "conversation.item.create", "item": {**ITEM, "content": []}},
         "missing_required_parameter"),
        ({"type": "conversation.item.create", "item": {**ITEM, "content": [
            {"type": "input_audio", "audio": "AA"}]}}, "invalid_value"),
        ({"type": "conversation.item.create", "item": {**ITEM, "content": [
            {"type": "input_text", "text": "a" * 2001}]}}, "string_above_max_length"),
        ({"type": "conversation.item.create", "item": ITEM, "previous_item_id": "x"},
         "item_not_found"),
        ({"type": "conversation.item.create", "item": {**ITEM, "content": [
            {"type": "input_image", "image_url": "data:"}]}}, "invalid_value"),
        ({"type": "conversation.item.create", "item": {**ITEM, "content": [
            {"type": "input_audio", "audio": "AAAA"}, {"type": "input_text", "text": "a"}]}},
         "invalid_value"),
        ({"type": "session.update", "session": {"voice": "heart"}}, "invalid_value"),
        ({"type": "session.update", "session": {"prompt": {"id": "pmpt_1"}}}, "invalid_value"),
        ({"type": "session.update", "session": {"tools": [{"type": "mcp"}]}}, "invalid_value"),
        ({"type": "session.update", "session": {"tool_choice": "some"}}, "invalid_value"),
        ({"type": "conversation.item.delete", "item_id": "x"}, "item_delete_invalid_item_id"),
        ({"type": "conversation.item.retrieve", "item_id": "x"}, "item_retrieve_invalid_item_id"),
        ({"type": "conversation.item.truncate", "item_id": "x", "content_index": 0,
          "audio_end_ms": 3}, "item_truncate_invalid_item_id"),
        ({"type": "conversation.item.truncate", "item_id": "x", "content_index": 1,
          "audio_end_ms": 3}, "invalid_value"),
        ({"type": "response.create"}, "no_input"),
        ({"type": "response.create", "response": {"instructions": "Say hello."}}, "no_input"),
        ({"type": "response.create", "response": {"conversation": "other"}}, "invalid_value"),
        ({"type": "response.create", "response": {"input": [ITEM], "max_output_tokens": 0}},
         "invalid_value"),
        ({"type": "response.cancel"}, "response_cancel_not_active"),
    ],
)  # fmt: skip
def test_the_session_goes_on_after_errors(server: Running, event: Any, code: str) -> None:
    with server.connect("/v1/realtime") as socket:
        assert receive(socket)["type"] == "session.created"
        is_dict = isinstance(event, dict)
        socket.send(json.dumps({"event_id": "e1", **event}) if is_dict else event)
        error = receive(socket)
        assert error["type"] == "error"
        assert error["event_id"]
        assert error["error"]["code"] == code
        assert error["error"]["type"] == "invalid_request_error"
        assert error["error"]["event_id"] == ("e1" if is_dict else None)
        send(socket, type="session.update", session={"type": "realtime"})
        assert receive(socket)["type"] == "session.updated"


def test_a_disconnect_frees_the_slots_within_a_frame(server: Running) -> None:
    with server.connect("/v1/realtime") as socket:
        long = {**ITEM, "content": [{"type": "input_text", "text": LONG}]}
        for _ in range(2):
            send(socket, type="response.create", response={"conversation": "none", "input": [long]})
        ids = set()
        while len(ids) < 2:
            event = receive(socket)
            if event["type"] == "response.output_audio.delta":
                ids.add(event["response_id"])
        with server.cancels():
            socket.socket.close()


def test_keys(tmp_path: Path) -> None:
    with running(tmp_path, api_key=("secret",)) as server:

        async def main() -> None:
            async with connected(server, "secret") as connection:
                await until(connection, "session.created")
            with pytest.raises(InvalidStatus) as refused:
                async with connected(server, "wrong"):
                    pass
            assert refused.value.response.status_code == 401

        asyncio.run(main())
        browser = ["realtime", "openai-insecure-api-key.secret"]
        with server.connect("/v1/realtime", subprotocols=browser) as socket:
            assert receive(socket)["type"] == "session.created"
            assert socket.subprotocol == "realtime"
        with server.connect("/v1/realtime?api_key=secret") as socket:
            assert receive(socket)["type"] == "session.created"
