"""Responses of OpenAI's Realtime protocol that are text only."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from causerie.audio.io import pcm16
from causerie.talk.mind import INSTRUCTIONS
from tests.patience import PATIENCE_S
from tests.server.realtime.hearing import QUESTION, Client, question, talk, tts
from tests.server.running import Running, running
from tests.talk.chat_server import chat_server

#: The events of a response, without deltas.
RESPONSE = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_text.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]


async def say(client: Client, text: str, **response: Any) -> Any:
    """Create a message and a response; returns its end."""
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    await client.connection.conversation.item.create(item=item)
    await client.until("conversation.item.done")
    client.events.clear()
    await client.connection.response.create(response=response)
    return (await client.until("response.done")).response


def deltas(client: Client) -> list[str]:
    return [e.delta for e in client.events if e.type == "response.output_text.delta"]


def test_the_words_come_as_text(server: Running) -> None:
    async def task(client: Client) -> None:
        assert (await client.until("session.created")).session.output_modalities == ["audio"]
        assert (await client.update(output_modalities=["text"])).output_modalities == ["text"]
        assert (await client.update(audio={})).output_modalities == ["text"]
        response = await say(client, "Is it far?")
        assert [kind for kind in client.kinds() if not kind.endswith(".delta")] == RESPONSE
        assert deltas(client) == ["Is it far?"]
        events = {event.type: event for event in client.events}
        assert events["response.created"].response.output_modalities == ["text"]
        assert events["response.output_item.added"].item.content == []
        added = events["response.content_part.added"].part
        assert (added.type, added.text) == ("text", "")
        done = events["response.content_part.done"].part
        assert (done.type, done.text) == ("text", "Is it far?")
        assert events["response.output_text.done"].text == "Is it far?"
        assert events["response.output_text.done"].item_id == response.output[0].id
        (content,) = response.output[0].content
        assert (content.type, content.text) == ("output_text", "Is it far?")
        assert (response.status, response.output_modalities) == ("completed", ["text"])
        assert response.usage is None

    talk(server, task)


def test_a_response_may_be_another_than_the_session_s(server: Running) -> None:
    async def task(client: Client) -> None:
        written = await say(client, "Is it far?", output_modalities=["text"])
        assert written.output[0].content[0].type == "output_text"
        spoken = await say(client, "Is it far?")
        assert spoken.output[0].content[0].type == "output_audio"
        await client.update(output_modalities=["text"])
        spoken = await say(client, "Is it far?", output_modalities=["audio"])
        assert spoken.output[0].content[0].type == "output_audio"
        assert spoken.usage.output_token_details.audio_tokens > 0

    talk(server, task)


def test_a_turn_that_was_heard_is_answered_in_text(server: Running) -> None:
    async def task(client: Client) -> None:
        await client.update(output_modalities=["text"])
        await client.send(pcm16(question()).tobytes())
        response = (await client.until("response.done")).response
        assert response.output[0].content[0].text == QUESTION
        assert not [kind for kind in client.kinds() if "audio" in kind and "response." in kind]

    talk(server, task)


def test_the_limit_counts_words(server: Running) -> None:
    async def task(client: Client) -> None:
        response = await say(
            client, "One two  three four", output_modalities=["text"], max_output_tokens=3
        )
        assert response.output[0].content[0].text == "One two  three"
        assert response.status == "incomplete"
        assert response.status_details.reason == "max_output_tokens"
        response = await say(
            client, "One two three", output_modalities=["text"], max_output_tokens=3
        )
        assert (response.status, deltas(client)) == ("completed", ["One two three"])

    talk(server, task)


def test_a_text_is_context_of_the_language_model(tmp_path: Path) -> None:
    asked: list[Any] = []

    def answer(body: dict[str, Any]) -> list[dict[str, Any]]:
        asked.append(body["messages"])
        return [{"content": "No, ten "}, {"content": "minutes."}]

    async def task(client: Client) -> None:
        await client.update(output_modalities=["text"])
        response = await say(client, "Is it far?")
        assert deltas(client) == ["No, ten ", "minutes."]
        assert response.output[0].content[0].text == "No, ten minutes."
        await say(client, "By bus?", instructions="Be brief.")
        response = await say(client, "When?", max_output_tokens=2)
        assert (response.status, deltas(client)) == ("incomplete", ["No, ten "])
        assert response.output[0].content[0].text == "No, ten "
        await say(client, "Why?", output_modalities=["audio"])

    with chat_server(answer) as url, running(tmp_path, tts(), llm=url, llm_model="m") as server:
        talk(server, task)
    first = [{"role": "user", "content": "Is it far?"}]
    second = [
        {"role": "assistant", "content": "No, ten minutes."},
        {"role": "user", "content": "By bus?"},
    ]
    assert asked[0] == first  # it is not told that its answer is read aloud
    assert asked[1] == [{"role": "system", "content": "Be brief."}, *first, *second]
    assert asked[3][0] == {"role": "system", "content": INSTRUCTIONS}


def test_halves_of_a_character_of_an_answer_are_joined(tmp_path: Path) -> None:
    written = [{"content": "Ten minutes \ud83d"}, {"content": "\ude00."}]

    async def task(client: Client) -> None:
        response = await say(client, "Is it far?", output_modalities=["text"])
        assert deltas(client) == ["Ten minutes ", "\U0001f600."]
        assert response.output[0].content[0].text == "Ten minutes \U0001f600."
        response = await say(client, "Is it far?", output_modalities=["audio"])
        assert (response.status, response.status_details) == ("completed", None)
        assert response.output[0].content[0].transcript == "Ten minutes \U0001f600."

    with (
        chat_server(lambda _: written) as url,
        running(tmp_path, tts(), llm=url, llm_model="m") as server,
    ):
        talk(server, task)


def test_a_text_that_is_cancelled_is_kept_so_far(tmp_path: Path) -> None:
    may_end = threading.Event()

    def answer(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"content": "No, ten "}
        may_end.wait(PATIENCE_S)
        yield {"content": "minutes."}

    async def task(client: Client) -> None:
        content = [{"type": "input_text", "text": "Is it far?"}]
        item = {"type": "message", "role": "user", "content": content}
        await client.connection.conversation.item.create(item=item)
        await client.connection.response.create(response={"output_modalities": ["text"]})
        await client.until("response.output_text.delta")
        await client.connection.response.cancel()
        response = (await client.until("response.done")).response
        assert (response.status, response.status_details.reason) == (
            "cancelled", "client_cancelled",
        )  # fmt: skip
        (written,) = response.output
        may_end.set()
        assert (written.status, written.content[0].text) == ("incomplete", "No, ten ")
        (done,) = [e for e in client.events if e.type == "response.output_text.done"]
        assert done.text == "No, ten "

    with chat_server(answer) as url, running(tmp_path, tts(), llm=url, llm_model="m") as server:
        talk(server, task)


@pytest.mark.parametrize("modality", ["text", "audio"])
def test_the_language_model_stops_when_a_response_is_cancelled(
    tmp_path: Path, modality: str
) -> None:
    """At once: not when Python collects what nothing refers to."""
    has_stopped = threading.Event()

    def answer(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        try:
            for _ in range(int(PATIENCE_S / 0.01)):
                yield {"content": "Again. "}
                time.sleep(0.01)
        except GeneratorExit:
            has_stopped.set()

    async def task(client: Client) -> None:
        content = [{"type": "input_text", "text": "Go on."}]
        item = {"type": "message", "role": "user", "content": content}
        await client.connection.conversation.item.create(item=item)
        await client.connection.response.create(response={"output_modalities": [modality]})
        await client.until(f"response.output_{modality}.delta")
        await client.connection.response.cancel()
        assert (await client.until("response.done")).response.status == "cancelled"
        assert await asyncio.to_thread(has_stopped.wait, PATIENCE_S / 2)

    gc.disable()
    try:
        with chat_server(answer) as url, running(tmp_path, tts(), llm=url, llm_model="m") as server:
            talk(server, task)
    finally:
        gc.enable()
