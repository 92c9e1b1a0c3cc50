"""What clients of OpenAI's Realtime protocol send and expect besides the usual course of events."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus

from causerie.audio.io import pcm16
from causerie.errors import AudioError
from causerie.prompt import Segment, check_length
from causerie.reply import context
from tests.contexts import recorded
from tests.server.realtime.hearing import QUESTION, Client, Script, question, talk, tts
from tests.server.running import Running, receive, running, send
from tests.talk.chat_server import chat_server

TOOL = {"type": "function", "name": "distance", "parameters": {"type": "object"}}
TEXT = {"type": "input_text", "text": "Is it far?"}
CALL = [{"tool_calls": [{"index": 0, "id": "call_1", "function": {
    "name": "distance", "arguments": '{"to": "station"}'}}]}]  # fmt: skip


@pytest.fixture
def contexts(monkeypatch: pytest.MonkeyPatch) -> list[list[Segment]]:
    """The contexts of all replies."""
    return recorded(tts(), monkeypatch)


def spoken() -> str:
    """A question as it is sent."""
    return base64.b64encode(pcm16(question()).tobytes()).decode()


def events_until(socket: Any, kind: str) -> list[dict[str, Any]]:
    """All events up to one of a kind, as they are on the wire."""
    events = [receive(socket)]
    while events[-1]["type"] != kind:
        assert events[-1]["type"] != "error", events[-1]
        events.append(receive(socket))
    return events


def of(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == kind]


# -- events ----------------------------------------------------------------------------------------


def test_a_transcript_says_how_much_speech_it_is_of(server: Running) -> None:
    with server.connect("/v1/realtime") as socket:
        audio = {"input": {"transcription": {"model": "whisper-1"}}}
        send(socket, type="session.update", session={"type": "realtime", "audio": audio})
        send(socket, type="input_audio_buffer.append", audio=spoken())
        events = events_until(socket, "response.done")
    (started,) = of(events, "input_audio_buffer.speech_started")
    (stopped,) = of(events, "input_audio_buffer.speech_stopped")
    (done,) = of(events, "conversation.item.input_audio_transcription.completed")
    seconds = (stopped["audio_end_ms"] - started["audio_start_ms"]) / 1000
    assert done["usage"] == {"type": "duration", "seconds": pytest.approx(seconds)}


def test_errors_of_transcripts_have_no_nulls(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Script, samples: np.ndarray) -> str:
        raise AudioError("no words today")

    monkeypatch.setattr(Script, "__call__", fails)
    with server.connect("/v1/realtime") as socket:
        send(socket, type="input_audio_buffer.append", audio=spoken())
        events = events_until(socket, "conversation.item.input_audio_transcription.failed")
    assert events[-1]["error"]["message"] == "no words today"
    assert None not in events[-1]["error"].values()


def test_a_call_is_complete_only_when_it_is_done(tmp_path: Path) -> None:
    with (
        chat_server(lambda _: CALL) as url,
        running(tmp_path, tts(), llm=url, llm_model="m") as server,
        server.connect("/v1/realtime") as socket,
    ):
        send(socket, type="session.update", session={"type": "realtime", "tools": [TOOL]})
        send(socket, type="conversation.item.create", item=_item(TEXT))
        send(socket, type="response.create")
        events = events_until(socket, "response.done")

    def states(kind: str) -> list[tuple[str, str]]:
        items = [event["item"] for event in of(events, kind)]
        return [(i["status"], i["arguments"]) for i in items if i["type"] == "function_call"]

    whole = ("completed", '{"to": "station"}')
    assert states("response.output_item.added") == [("in_progress", "")]
    assert states("conversation.item.added") == [("in_progress", "")]
    assert states("conversation.item.done") == [whole]
    assert states("response.output_item.done") == [whole]


# -- settings --------------------------------------------------------------------------------------


def test_the_choice_of_tools_reaches_the_language_model(tmp_path: Path) -> None:
    named = {"type": "function", "name": "distance"}
    asked: list[Any] = []

    def answer(body: dict[str, Any]) -> list[dict[str, Any]]:
        asked.append(body["tool_choice"])
        return [{"content": "Ten minutes."}]

    async def task(client: Client) -> None:
        assert (await client.update(tools=[TOOL])).tool_choice == "auto"
        assert (await client.update(tool_choice="required")).tool_choice == "required"
        assert (await client.update(audio={})).tool_choice == "required"
        await client.connection.conversation.item.create(item=_item(TEXT))
        for response in ({}, {"tool_choice": "none"}, {"tool_choice": named}):
            await client.connection.response.create(response=response)
            await client.until("response.done")

    with chat_server(answer) as url, running(tmp_path, tts(), llm=url, llm_model="m") as server:
        talk(server, task)
    assert asked == ["required", "none", {"type": "function", "function": {"name": "distance"}}]


def test_the_session_limits_responses(server: Running) -> None:
    async def task(client: Client) -> None:
        assert (await client.update(max_output_tokens=5)).max_output_tokens == 5
        await client.connection.conversation.item.create(item=_item(TEXT))
        await client.connection.response.create()
        done = await client.until("response.done")
        assert done.response.max_output_tokens == done.response.usage.output_tokens == 5
        await client.connection.conversation.item.create(item=_item(TEXT))
        await client.connection.response.create(response={"max_output_tokens": "inf"})
        assert (await client.until("response.done")).response.status == "completed"

    talk(server, task)


def test_settings_without_effect_are_ignored_and_shown(server: Running) -> None:
    audio = {
        "input": {
            "noise_reduction": {"type": "near_field"},
            "turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000},
            "transcription": {"model": "gpt-4o-transcribe", "language": "en", "prompt": "Trains."},
        }
    }

    async def task(client: Client) -> None:
        session = await client.update(
            model="gpt-realtime-2", audio=audio, tracing="auto", truncation="auto",
            include=["item.input_audio_transcription.logprobs"], reasoning={"effort": "low"},
            parallel_tool_calls=True, output_modalities=["audio"],
        )  # fmt: skip
        assert session.audio.input.noise_reduction is None
        assert session.audio.input.turn_detection.idle_timeout_ms is None
        assert session.audio.input.transcription.language == "en"
        assert session.tracing is None

    talk(server, task)


# -- items -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("transcript", [None, "Is the station far?"])
def test_a_message_may_be_sound(
    server: Running, contexts: list[list[Segment]], transcript: str | None
) -> None:
    content = {"type": "input_audio", "audio": spoken()}
    if transcript is not None:
        content["transcript"] = transcript

    async def task(client: Client) -> None:
        await client.connection.conversation.item.create(item=_item(content))
        added = await client.until("conversation.item.added")
        assert added.item.content[0].type == "input_audio"
        assert added.item.content[0].transcript == (transcript or QUESTION)
        await client.connection.response.create()
        done = await client.until("response.done")
        assert done.response.output[0].content[0].transcript == (transcript or QUESTION)

    talk(server, task)
    ((heard,),) = contexts
    assert (heard.speaker, heard.text) == (1, transcript or QUESTION)
    assert heard.codes is not None
    assert heard.codes.shape[1] == -(-len(question()) // 1920)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"item": {"id": "item_1"}}, "item_create_duplicate_item_id"),
        ({"previous_item_id": "item_2"}, "item_not_found"),
    ],
)
def test_sound_of_a_message_that_is_refused_is_not_remembered(
    server: Running, contexts: list[list[Segment]], wrong: dict[str, Any], code: str
) -> None:
    item = _item({"type": "input_audio", "audio": spoken(), "transcript": "Where is it?"})

    async def task(client: Client) -> None:
        create = client.connection.conversation.item.create
        await create(item={**_item(TEXT), "id": "item_1"})
        await create(**{**wrong, "item": {**item, **wrong.get("item", {})}})
        assert (await client.until("error")).error.code == code
        await client.connection.response.create()
        await client.until("response.done")

    talk(server, task)
    assert contexts == [[]]


def test_sound_may_be_the_input_of_a_response(
    server: Running, contexts: list[list[Segment]]
) -> None:
    item = _item({"type": "input_audio", "audio": spoken()})

    async def task(client: Client) -> None:
        await client.connection.response.create(response={"input": [item], "conversation": "none"})
        done = await client.until("response.done")
        assert done.response.output[0].content[0].transcript == QUESTION
        await client.connection.response.create(response={"input": [_item(TEXT)]})
        await client.until("response.done")

    talk(server, task)
    (heard,), after = contexts
    assert (heard.speaker, heard.text) == (1, QUESTION)
    assert after == []


@pytest.mark.parametrize("is_item", [False, True])
def test_the_words_of_a_turn_that_is_too_long_count(
    server: Running,
    contexts: list[list[Segment]],
    monkeypatch: pytest.MonkeyPatch,
    is_item: bool,
) -> None:
    """Without its sound, and the reply says so. The model has few positions for a turn here."""

    def check(num_rows: int, max_frames: int, name: str) -> None:
        check_length(num_rows, 30 if name == "the turn" else max_frames, name)

    monkeypatch.setattr(context, "check_length", check)

    async def task(client: Client) -> None:
        if is_item:
            item = _item({"type": "input_audio", "audio": spoken()})
            await client.connection.conversation.item.create(item=item)
            await client.connection.response.create()
        else:
            await client.send(pcm16(question()).tobytes())
        response = (await client.until("response.done")).response
        assert response.output[0].content[0].transcript == QUESTION
        (note,) = response.notes
        assert "the sound of a turn is no context, as it is too long" in note
        assert note.endswith("the model has 30")

    talk(server, task)
    assert contexts == [[]]


def test_answers_of_an_earlier_session_are_history(tmp_path: Path) -> None:
    asked: list[Any] = []

    def answer(body: dict[str, Any]) -> list[dict[str, Any]]:
        asked.append([m["content"] for m in body["messages"][1:]])
        return [{"content": "Ten minutes."}]

    async def task(client: Client) -> None:
        said = {"type": "output_audio", "transcript": "Good morning."}
        heard = {"type": "input_audio", "transcript": "Is it far?"}
        for role, content in (("assistant", said), ("user", heard)):
            await client.connection.conversation.item.create(item=_item(content, role))
        await client.connection.response.create()
        await client.until("response.done")

    with chat_server(answer) as url, running(tmp_path, tts(), llm=url, llm_model="m") as server:
        talk(server, task)
    assert asked == [["Good morning.", "Is it far?"]]


# -- connections -----------------------------------------------------------------------------------


def test_half_a_minute_of_sound_may_come_at_once(server: Running) -> None:
    silence = base64.b64encode(bytes(48_000 * 25)).decode()
    with server.connect("/v1/realtime") as socket:
        off = {"input": {"turn_detection": None}}
        send(socket, type="session.update", session={"type": "realtime", "audio": off})
        send(socket, type="input_audio_buffer.append", audio=silence)
        send(socket, type="input_audio_buffer.commit")
        events = events_until(socket, "input_audio_buffer.committed")
    assert len(silence) > 2**20
    assert of(events, "input_audio_buffer.committed")


def test_calls_by_sip_are_refused(server: Running) -> None:
    with pytest.raises(InvalidStatus) as refused:
        server.connect("/v1/realtime?call_id=rtc_1")
    assert refused.value.response.status_code == 400
    assert "SIP" in json.loads(refused.value.response.body)["error"]["message"]


def _item(content: dict[str, Any], role: str = "user") -> Any:
    return {"type": "message", "role": role, "content": [content]}
