"""OpenAI's Realtime protocol hears: turns, words, interruptions, and a language model's answers."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from causerie.audio import formats
from causerie.audio.io import pcm16
from causerie.audio.resample import resample
from causerie.errors import AudioError, ConfigError
from causerie.server import service
from causerie.server.app import create_app
from causerie.server.models import load_tts
from causerie.server.realtime.delivery import Delivery
from causerie.server.realtime.events import Events
from causerie.server.realtime.messages import FORMATS
from causerie.server.settings import Settings
from tests.contexts import recorded
from tests.patience import PATIENCE_S
from tests.recognition.transcription_server import transcription_server
from tests.server.realtime.hearing import QUESTION, RATE, Client, Script, question, talk, tts
from tests.server.realtime.test_responses import RESPONSE
from tests.server.running import Running, running
from tests.talk.chat_server import chat_server

SPOKEN = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Yes."}]}


# -- turns -----------------------------------------------------------------------------------------


def test_a_turn_is_heard_and_answered(server: Running, hears: Script) -> None:
    async def task(client: Client) -> None:
        session = await client.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
        assert session.audio.input.turn_detection.type == "server_vad"
        assert session.audio.input.turn_detection.silence_duration_ms == 500
        await client.send(pcm16(question()).tobytes())
        done = await client.until("response.done")
        assert client.kinds()[1:] == [
            "session.updated",
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.input_audio_transcription.completed",
            "conversation.item.done",
            *RESPONSE,
        ]
        by = {event.type: event for event in client.events}
        seconds = len(question()) / RATE
        started = by["input_audio_buffer.speech_started"].audio_start_ms / 1000
        stopped = by["input_audio_buffer.speech_stopped"].audio_end_ms / 1000
        assert started == pytest.approx(0.8, abs=0.3)
        assert stopped == pytest.approx(seconds - 1, abs=0.3)
        assert by["conversation.item.input_audio_transcription.completed"].transcript == QUESTION
        assert hears.lengths_s[-1] == pytest.approx(stopped - started, abs=0.3)
        assert done.response.output[0].content[0].transcript == QUESTION  # an echo

    talk(server, task)


def test_words_come_while_they_are_spoken(server: Running, hears: Script) -> None:
    hears.text, hears.words_per_s = "Is it far to the station, or is there a bus?", 2.5
    spoken = question()[RATE:-RATE]
    gap = np.zeros(RATE // 4, np.float32)
    sound = np.concatenate([question()[:-RATE], gap, spoken, gap, spoken, gap, question()[RATE:]])

    async def task(client: Client) -> None:
        await client.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
        await client.send(pcm16(sound).tobytes(), pause_s=0.02)
        kind = "conversation.item.input_audio_transcription"
        completed = await client.until(f"{kind}.completed")
        kinds = [event.type for event in client.events]
        assert completed.transcript == hears.text
        deltas = [event for event in client.events if event.type == f"{kind}.delta"]
        assert "".join(event.delta for event in deltas) == hears.text
        started = client.events[kinds.index("input_audio_buffer.speech_started")]
        assert {event.item_id for event in deltas} == {started.item_id, completed.item_id}
        early = kinds[: kinds.index("input_audio_buffer.speech_stopped")].count(f"{kind}.delta")
        assert early >= 2
        await client.until("response.done")

    talk(server, task)


def test_the_reply_has_heard_the_user(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    contexts = recorded(tts(), monkeypatch)

    async def task(client: Client) -> None:
        for _ in range(2):
            await client.send(pcm16(question()).tobytes())
            await client.until("response.done")

    talk(server, task)
    first, second = contexts
    assert [(turn.speaker, turn.text) for turn in first] == [(1, QUESTION)]
    assert [(turn.speaker, turn.text) for turn in second] == [
        (1, QUESTION),
        (0, QUESTION),
        (1, QUESTION),
    ]
    assert first[0].codes is not None
    seconds = first[0].codes.shape[1] * 0.08
    assert seconds == pytest.approx(len(question()) / RATE - 2 + 0.5, abs=0.4)


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
def test_telephones(server: Running, kind: str) -> None:
    name = FORMATS[kind]
    encoder = formats.encoder(name, sample_rate=8000, out_rate=8000)
    data = encoder.encode(resample(question(), RATE, 8000)) + encoder.finish()

    async def task(client: Client) -> None:
        session = await client.update(
            audio={"input": {"format": {"type": kind}, "transcription": {"model": "whisper-1"}}}
        )
        assert session.audio.input.format.type == kind
        await client.send(data, 160)
        stopped = await client.until("input_audio_buffer.speech_stopped")
        seconds = len(question()) / RATE
        assert stopped.audio_end_ms / 1000 == pytest.approx(seconds - 1, abs=0.3)
        await client.until("response.done")

    talk(server, task)


def test_the_client_may_say_where_turns_end(server: Running, hears: Script) -> None:
    async def task(client: Client) -> None:
        session = await client.update(audio={"input": {"turn_detection": None}})
        assert session.audio.input.turn_detection is None
        await client.send(pcm16(question()).tobytes())
        await client.connection.input_audio_buffer.clear()
        await client.until("input_audio_buffer.cleared")
        await client.connection.input_audio_buffer.commit()
        error = await client.until("error")
        assert error.error.code == "input_audio_buffer_commit_empty"
        await client.send(pcm16(question()[RATE:]).tobytes())
        await client.connection.input_audio_buffer.commit()
        await client.connection.response.create()  # before the words are known
        done = await client.until("response.done")
        assert done.response.output[0].content[0].transcript == QUESTION
        assert "input_audio_buffer.speech_started" not in client.kinds()
        assert hears.lengths_s == [pytest.approx(len(question()) / RATE - 1, abs=0.04)]

    talk(server, task)


@pytest.mark.parametrize(
    ("probability", "eagerness", "ends"),
    [(0.6, "high", True), (0.6, "auto", True), (0.6, "low", False), (0.85, "low", True)],
)
def test_a_turn_ends_by_how_it_sounds(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    probability: float,
    eagerness: str,
    ends: bool,
) -> None:
    """With a model, 0.2 s of silence are enough if it is as sure as the eagerness wants."""
    monkeypatch.setattr(service, "find_smart_turn", lambda file: lambda speech: probability)

    async def task(client: Client) -> None:
        detection = {"type": "semantic_vad", "eagerness": eagerness}
        session = await client.update(audio={"input": {"turn_detection": detection}})
        assert session.audio.input.turn_detection.eagerness == eagerness
        await client.send(pcm16(question()[: -RATE * 2 // 3]).tobytes())  # 0.33 s of silence
        await client.connection.input_audio_buffer.commit()
        await client.until("error" if ends else "input_audio_buffer.committed")
        assert ("input_audio_buffer.committed" in client.kinds()[:-1]) == ends

    with running(tmp_path, tts()) as server:
        talk(server, task)


def test_only_semantic_vad_needs_the_model_of_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(file: str) -> Any:
        raise ConfigError("the model of the end is broken")

    monkeypatch.setattr(service, "find_smart_turn", broken)

    async def task(client: Client) -> None:
        await client.send(pcm16(question()).tobytes())
        await client.until("response.done")
        await client.update(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
        await client.send(b"\0" * 4800)
        assert (await client.until("error")).error.message == "the model of the end is broken"

    with running(tmp_path, tts()) as server:
        talk(server, task)


def test_a_wrong_model_of_the_end_ends_the_server(tmp_path: Path) -> None:
    wrong = tmp_path / "model.onnx"
    wrong.write_text("no model")
    settings = Settings(voices=str(tmp_path), turn_model=str(wrong), transcribe="off")

    async def start() -> None:
        app = create_app(settings, tts=tts())
        async with app.router.lifespan_context(app):
            pass

    with pytest.raises(ConfigError, match="is no model of the end of turns"):
        asyncio.run(start())


def test_a_language_that_the_recognizer_does_not_know_changes_nothing(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_language(self: Script, language: str) -> Script:
        if language != "de":
            raise ConfigError(f"the recognizer does not know the language {language!r}")
        return self

    monkeypatch.setattr(Script, "in_language", in_language, raising=False)

    async def task(client: Client) -> None:
        before = (await client.update()).to_dict()
        heard = {"turn_detection": None, "transcription": {"language": "xx"}}
        session = {"type": "realtime", "instructions": "Be kind.", "audio": {"input": heard}}
        await client.connection.session.update(session=session)
        assert "'xx'" in (await client.until("error")).error.message
        assert (await client.update()).to_dict() == before
        session = await client.update(audio={"input": {"transcription": {"language": "de-AT"}}})
        assert session.audio.input.transcription.language == "de-AT"
        await client.send(pcm16(question()).tobytes())
        await client.until("response.done")

    talk(server, task)


def test_settings_in_the_middle_of_a_turn_lose_nothing(server: Running) -> None:
    data = pcm16(question()).tobytes()

    async def task(client: Client) -> None:
        await client.send(data[: len(data) // 2])
        await client.until("input_audio_buffer.speech_started")
        await client.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
        await client.send(data[len(data) // 2 :])
        stopped = await client.until("input_audio_buffer.speech_stopped")
        assert stopped.audio_end_ms / 1000 == pytest.approx(len(question()) / RATE - 1, abs=0.3)
        completed = await client.until("conversation.item.input_audio_transcription.completed")
        assert completed.transcript == QUESTION
        await client.until("response.done")

    talk(server, task)


def test_a_turn_without_words_is_not_answered(server: Running, hears: Script) -> None:
    hears.text = ""

    async def task(client: Client) -> None:
        await client.send(pcm16(question()).tobytes())
        await client.until("conversation.item.done")
        await client.update()
        assert "response.created" not in client.kinds()

    talk(server, task)


def test_a_user_who_goes_on_is_answered_once(server: Running, hears: Script) -> None:
    hears.may_hear.clear()

    async def task(client: Client) -> None:
        await client.send(2 * pcm16(question()).tobytes())
        for _ in range(2):  # the second turn begins before the words of the first are known
            await client.until("input_audio_buffer.speech_started")
        hears.may_hear.set()
        done = await client.until("response.done")
        assert client.kinds().count("input_audio_buffer.committed") == 2
        assert client.kinds().count("response.created") == 1
        assert done.response.output[0].content[0].transcript == f"{QUESTION} {QUESTION}"

    talk(server, task)


def test_a_turn_whose_end_is_being_told_is_answered_with_the_one_before(
    server: Running, hears: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    hears.may_hear.clear()
    send, num_committed, is_done = Events.send, 0, asyncio.Event()

    async def slowly(self: Events, kind: str, **facts: object) -> None:
        nonlocal num_committed
        num_committed += kind == "input_audio_buffer.committed"
        if kind == "input_audio_buffer.committed" and num_committed == 2:
            hears.may_hear.set()  # the words of the first turn, while the end of the second is told
            await asyncio.wait_for(is_done.wait(), PATIENCE_S)
            await asyncio.sleep(0.1)
        await send(self, kind, **facts)
        if kind == "conversation.item.done":
            is_done.set()

    monkeypatch.setattr(Events, "send", slowly)

    async def task(client: Client) -> None:
        await client.send(2 * pcm16(question()).tobytes())
        done = await client.until("response.done")
        assert client.kinds().count("response.created") == 1
        assert done.response.output[0].content[0].transcript == f"{QUESTION} {QUESTION}"

    talk(server, task)


def test_a_turn_is_answered_although_the_next_has_no_words(server: Running, hears: Script) -> None:
    hears.may_hear.clear()

    async def task(client: Client) -> None:
        await client.send(pcm16(question()).tobytes())
        await client.until("input_audio_buffer.speech_stopped")
        await client.send(pcm16(question()).tobytes()[: 2 * RATE * 2])  # the user begins to speak
        await client.until("input_audio_buffer.speech_started")
        hears.may_hear.set()
        await client.until("conversation.item.done")
        assert "response.created" not in client.kinds()
        await client.connection.input_audio_buffer.clear()
        done = await client.until("response.done")
        assert done.response.output[0].content[0].transcript == QUESTION

    talk(server, task)


def test_speaking_interrupts_the_response(server: Running, hears: Script) -> None:
    hears.text = "This is a long answer, which takes a while to speak. " * 8

    async def task(client: Client) -> None:
        await client.send(pcm16(question()).tobytes())
        await client.until("response.output_audio.delta")
        await client.send(pcm16(question()).tobytes())
        done = await client.until("response.done")
        assert done.response.status == "cancelled"
        assert done.response.status_details.reason == "turn_detected"
        item = done.response.output[0]
        assert item.status == "incomplete"
        await client.connection.conversation.item.truncate(
            item_id=item.id, content_index=0, audio_end_ms=0
        )
        await client.until("conversation.item.truncated")
        await client.until("response.done")

    talk(server, task)


def test_a_failing_recognizer_is_told(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Script, samples: np.ndarray) -> str:
        raise AudioError("no words today")

    monkeypatch.setattr(Script, "__call__", fails)

    async def task(client: Client) -> None:
        await client.send(pcm16(question()).tobytes())
        failed = await client.until("conversation.item.input_audio_transcription.failed")
        assert failed.error.code == "invalid_audio"

    talk(server, task)


def test_a_recognizer_in_another_program(tmp_path: Path) -> None:
    """Its words are answered; where it fails, the client is told, and the session goes on."""
    answers: list[str | tuple[int, str]] = [QUESTION]
    kind = "conversation.item.input_audio_transcription"

    async def task(client: Client) -> None:
        await client.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
        for answer in (QUESTION, (503, "busy"), QUESTION):
            answers.append(answer)
            await client.send(pcm16(question()).tobytes())
            told = await client.until(f"{kind}.completed", f"{kind}.failed")
            if answer == QUESTION:
                assert told.transcript == QUESTION
                await client.until("response.done")
            else:
                assert (told.error.code, told.error.type) == ("recognition_failed", "server_error")
                assert told.error.message.endswith("answered 503: busy")

    with transcription_server(lambda _: answers[-1]) as url:
        settings = {"recognizer": url, "recognizer_model": "whisper-1", "max_streams": 2}
        with running(tmp_path, load_tts(Settings(**settings)), **settings) as server:
            talk(server, task)


# -- a language model ------------------------------------------------------------------------------


def test_a_language_model_answers(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> list[dict[str, Any]]:
        asked.append(body)
        return [{"content": "No, "}, {"content": "ten minutes "}, {"content": "on foot."}]

    async def task(client: Client) -> None:
        await client.update(instructions="You live here.")
        for _ in range(2):
            await client.send(pcm16(question()).tobytes())
            done = await client.until("response.done")
            assert done.response.status == "completed"
            assert done.response.output[0].content[0].transcript == "No, ten minutes on foot."

    with chat_server(answer) as url, running(tmp_path, tts(), llm=url, llm_model="m") as server:
        talk(server, task)
    assert asked[0]["model"] == "m"
    roles = [[(m["role"], m["content"]) for m in body["messages"]] for body in asked]
    assert roles[0][0][1].endswith("You live here.")
    turns = [("user", QUESTION), ("assistant", "No, ten minutes on foot."), ("user", QUESTION)]
    assert roles[1][1:] == turns


def test_the_parts_of_the_latency_add_up(tmp_path: Path, hears: Script) -> None:
    """To what the client sees, from the last word of its sound to the first of the answer's."""
    sound = pcm16(question()).tobytes()

    def answer(body: dict[str, Any]) -> list[dict[str, Any]]:
        time.sleep(0.4)
        return [{"content": "No, ten minutes on foot."}]

    async def task(client: Client) -> None:
        for turn in range(2):
            hears.may_hear.clear()
            started = time.monotonic()
            sending = asyncio.create_task(client.send_live(sound))
            stopped = await client.until("input_audio_buffer.speech_stopped")
            await asyncio.sleep(0.3)
            hears.may_hear.set()
            before_ms = turn * len(question()) * 1000 / RATE
            spoken = started + (stopped.audio_end_ms - before_ms) / 1000
            await client.until("response.output_audio.delta")
            seen_ms = 1000 * (time.monotonic() - spoken)
            done = await client.until("response.done")
            await sending
            latency = dict(done.response.latency_ms)
            total = latency.pop("total")
            assert set(latency) == {"silence", "recognizer", "chat", "causerie"}
            assert sum(latency.values()) == pytest.approx(total, abs=3)
            assert 0.5 * seen_ms < total < seen_ms + 30  # the rest is the way to a busy server
            assert latency["silence"] == pytest.approx(520, abs=40)
            assert latency["recognizer"] >= 290
            assert latency["chat"] >= 400
            assert latency["causerie"] > 0

    chats = chat_server(answer)
    with chats as url, running(tmp_path, tts(), llm=url, llm_model="m") as server:
        talk(server, task)
        metrics = httpx.get(f"{server.http}/metrics").text
    for part in ("silence", "recognizer", "chat", "causerie", "total"):
        assert f'causerie_turn_seconds_count{{part="{part}"}} 2.0' in metrics


def test_the_latency_leaves_out_what_the_client_takes(server: Running) -> None:
    async def task(client: Client) -> None:
        await client.update(audio={"input": {"turn_detection": None}})
        await client.send(pcm16(question()).tobytes())
        await client.connection.input_audio_buffer.commit()
        await client.until("conversation.item.done")
        await asyncio.sleep(1.0)
        started = time.monotonic()
        await client.connection.response.create()
        await client.until("response.output_audio.delta")
        seen_ms = 1000 * (time.monotonic() - started)
        latency = (await client.until("response.done")).response.latency_ms
        assert latency["silence"] < 40
        assert latency["chat"] == 0
        assert seen_ms - 50 < latency["total"] < seen_ms + 1000
        await client.connection.response.create(response={"input": [SPOKEN]})
        done = await client.until("response.done")
        assert not hasattr(done.response, "latency_ms")  # it answers no turn that was heard

    talk(server, task)


def test_tools_are_called(tmp_path: Path) -> None:
    tool = {"type": "function", "name": "distance", "parameters": {"type": "object"}}
    asked: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> list[dict[str, Any]]:
        asked.append(body)
        if body["messages"][-1]["role"] == "tool":
            return [{"content": "Ten minutes."}]
        function = {"name": "distance", "arguments": '{"to": "station"}'}
        return [{"tool_calls": [{"index": 0, "id": "call_1", "function": function}]}]

    async def task(client: Client) -> None:
        await client.update(tools=[tool])
        await client.send(pcm16(question()).tobytes())
        called = await client.until("response.function_call_arguments.done")
        assert (called.call_id, called.arguments) == ("call_1", '{"to": "station"}')
        done = await client.until("response.done")
        assert [item.type for item in done.response.output] == ["function_call"]
        await client.connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": "call_1", "output": "600 m"}
        )
        await client.connection.response.create()
        done = await client.until("response.done")
        assert done.response.output[0].content[0].transcript == "Ten minutes."

    with chat_server(answer) as url, running(tmp_path, tts(), llm=url, llm_model="m") as server:
        talk(server, task)
    assert asked[0]["tools"][0]["function"]["name"] == "distance"
    last = asked[1]["messages"][-2:]
    assert last[0]["tool_calls"][0]["function"]["name"] == "distance"
    assert last[1] == {"role": "tool", "tool_call_id": "call_1", "content": "600 m"}


def test_a_language_model_that_fails(tmp_path: Path) -> None:
    async def task(client: Client) -> None:
        await client.send(pcm16(question()).tobytes())
        done = await client.until("response.done")
        assert done.response.status == "failed"
        assert "answered 404: no model m" in str(done.response.status_details.error)

    failing = chat_server(lambda _: (404, '{"error": {"message": "no model m"}}'))
    with failing as url, running(tmp_path, tts(), llm=url, llm_model="m") as server:
        talk(server, task)


# -- errors and turns that nobody waits for --------------------------------------------------------


def test_errors_of_responses_that_wait_for_words_are_told(server: Running, hears: Script) -> None:
    hears.may_hear.clear()

    async def task(client: Client) -> None:
        await client.update(audio={"input": {"turn_detection": None}})
        await client.send(pcm16(question()).tobytes())
        await client.connection.input_audio_buffer.commit()
        for name in ("first", "second"):
            await client.connection.response.create(event_id=name)
        hears.may_hear.set()
        error = (await client.until("error")).error
        assert error.code == "conversation_already_has_active_response"
        assert error.event_id == "second"
        await client.until("response.done")

    talk(server, task)


def test_a_turn_during_a_response_is_answered_after_it(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_audio, may_end = Delivery._send_audio, threading.Event()

    async def slowly(*args: Any) -> None:
        await send_audio(*args)
        while not may_end.is_set():
            await asyncio.sleep(0.01)

    monkeypatch.setattr(Delivery, "_send_audio", slowly)

    async def task(client: Client) -> None:
        detection = {"type": "server_vad", "interrupt_response": False}
        await client.update(audio={"input": {"turn_detection": detection}})
        await client.send(pcm16(question()).tobytes())
        await client.until("response.output_audio.delta")
        await client.send(pcm16(question()).tobytes())
        await client.until("conversation.item.done")  # the words of the second turn are known
        may_end.set()
        for _ in range(2):
            response = (await client.until("response.done")).response
            assert response.status == "completed"
            assert response.output[0].content[0].transcript == QUESTION

    talk(server, task)


def test_a_turn_that_the_client_had_answered_is_not_answered_again(server: Running) -> None:
    async def task(client: Client) -> None:
        await client.update(audio={"input": {"turn_detection": None}})
        await client.send(pcm16(question()).tobytes())
        await client.connection.input_audio_buffer.commit()
        await client.until("conversation.item.done")
        await client.connection.response.create()
        await client.until("response.done")
        await client.update(audio={"input": {"turn_detection": {"type": "server_vad"}}})
        await client.connection.input_audio_buffer.clear()
        await client.until("input_audio_buffer.cleared")
        await client.update()  # the end of what the server does about clear
        assert client.kinds().count("response.created") == 1

    talk(server, task)


@pytest.mark.parametrize("is_announced", [False, True])
def test_a_user_may_go_on_while_a_response_begins(
    server: Running, monkeypatch: pytest.MonkeyPatch, is_announced: bool
) -> None:
    """Before the client knows of the response, or just after."""
    here = (Delivery, "begin") if is_announced else (tts(), "astream")
    begin, may_begin = getattr(*here), threading.Event()

    async def slowly(*args: Any, **options: Any) -> Any:
        while not may_begin.is_set():
            await asyncio.sleep(0.01)
        return await begin(*args, **options)

    monkeypatch.setattr(*here, slowly)

    async def task(client: Client) -> None:
        await client.send(pcm16(question()).tobytes())
        await client.until("response.created" if is_announced else "conversation.item.done")
        await client.send(pcm16(question()).tobytes()[: 2 * RATE * 2])
        await client.until("input_audio_buffer.speech_started")
        may_begin.set()
        if is_announced:
            first = (await client.until("response.done")).response
            assert (first.status, first.status_details.reason) == ("cancelled", "turn_detected")
        await client.send(pcm16(question()).tobytes()[2 * RATE * 2 :])
        second = (await client.until("response.done")).response
        assert second.status == "completed"
        assert second.output[0].content[0].transcript == f"{QUESTION} {QUESTION}"
        assert client.kinds().count("response.created") == 1 + is_announced

    talk(server, task)
