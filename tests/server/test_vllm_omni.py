"""vLLM-Omni's WebSocket, against a real server."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from causerie.audio.io import pcm16
from causerie.server import sockets
from tests.patience import PATIENCE_S
from tests.server.running import Running, petit, receive, running, send

PATH = "/v1/audio/speech/stream"
TEXT = "Hello there. How are you today? I hope that all is well with you and with your family."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("voices"), max_input_chars=2000) as here:
        yield here


@pytest.fixture
def socket(server: Running) -> Iterator[ClientConnection]:
    with server.connect(PATH) as connection:
        yield connection


def receive_until(
    socket: ClientConnection, until: str = "session.done"
) -> tuple[bytes, list[dict[str, Any]]]:
    """The bytes and the messages up to one of a type."""
    sound, messages = b"", []
    while not messages or messages[-1]["type"] != until:
        data = socket.recv(timeout=PATIENCE_S)
        if isinstance(data, bytes):
            sound += data
        else:
            messages.append(json.loads(data))
            assert until == "error" or messages[-1]["type"] != "error", messages[-1]
    return sound, messages


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    return [message["type"] for message in messages]


def growing(text: str, seed: int) -> np.ndarray:
    """The library's audio for a text that is written word by word."""
    parts = [word + " " for word in text.split()]
    return petit().stream(parts, voice="heart", seed=seed).collect().samples


def test_text_by_words_is_one_reply(socket: ClientConnection) -> None:
    send(socket, type="session.config", voice="heart", seed=5)
    for word in TEXT.split():
        send(socket, type="input.text", text=word + " ")
    send(socket, type="input.done")
    sound, messages = receive_until(socket)
    assert sound == pcm16(growing(TEXT, 5)).tobytes()
    assert kinds(messages) == [
        "session.configured",
        *["audio.start", "audio.done"] * 2,
        "session.done",
    ]
    configured, first, first_done, second, second_done, done = messages
    assert configured["voice"] == "heart"
    assert (first["sentence_index"], first["sentence_text"]) == (0, "Hello there.")
    assert (first["format"], first["sample_rate"], first["channels"]) == ("pcm", 24_000, 1)
    assert second["sentence_text"] == TEXT.removeprefix("Hello there. ")
    assert first_done["total_bytes"] + second_done["total_bytes"] == len(sound)
    assert not first_done["error"]
    assert done["total_sentences"] == 2
    assert done["stopped"] == "end"
    assert done["seed"] == 5
    assert done["audio_ms"] == round(len(sound) / 48)
    assert done["first_sound_ms"] > 0


def test_a_sentence_is_spoken_while_the_next_is_not_written(socket: ClientConnection) -> None:
    send(socket, type="input.text", text="Hello there. How are you ")
    sound, messages = receive_until(socket, until="audio.done")
    assert len(sound) > 24_000
    assert messages[0]["sentence_text"] == "Hello there."
    send(socket, type="input.text", text="today?")
    send(socket, type="input.done")
    _, messages = receive_until(socket)
    assert messages[0]["sentence_text"] == "How are you today?"


def test_utterances_follow_each_other(socket: ClientConnection) -> None:
    send(socket, type="session.config", voice="heart", seed=2)
    for text in ("One.", "Two."):
        send(socket, type="input.text", text=text)
        send(socket, type="input.done")
    first, messages = receive_until(socket)
    second, more = receive_until(socket)
    assert [message["utterance_index"] for message in messages[1:]] == [0, 0, 0]
    assert [message["utterance_index"] for message in more] == [1, 1, 1]
    assert first == pcm16(growing("One.", 2)).tobytes()
    assert second == pcm16(growing("Two.", 2)).tobytes()


def test_an_utterance_without_text_is_done_at_once(socket: ClientConnection) -> None:
    send(socket, type="input.text", text="  ")
    send(socket, type="input.done")
    sound, messages = receive_until(socket)
    assert not sound
    assert messages == [
        {"type": "session.done", "utterance_index": 0, "total_sentences": 0, "stopped": "end"}
    ]


def test_close_waits_until_everything_is_spoken(socket: ClientConnection) -> None:
    send(socket, type="session.config", voice="heart", seed=5)
    send(socket, type="input.text", text="Good evening to you")
    send(socket, type="session.close")
    sound, _messages = receive_until(socket)
    assert sound == pcm16(growing("Good evening to you", 5)).tobytes()
    with pytest.raises(ConnectionClosed):
        socket.recv(timeout=PATIENCE_S)
    assert socket.close_code == 1000


@pytest.mark.parametrize("name", ["mp3", "opus", "flac", "wav"])
def test_other_formats_and_speed(socket: ClientConnection, name: str) -> None:
    send(socket, type="session.config", voice="heart", seed=5, response_format=name, speed=1.5)
    send(socket, type="input.text", text="One. And two.")
    send(socket, type="input.done")
    data, messages = receive_until(socket)
    assert sum(m["total_bytes"] for m in messages if m["type"] == "audio.done") == len(data)
    with av.open(io.BytesIO(data)) as file:
        seconds = sum(frame.samples / frame.sample_rate for frame in file.decode(audio=0))
    played_s = messages[-1]["audio_ms"] / 1000
    assert played_s == pytest.approx(len(growing("One. And two.", 5)) / 24_000 / 1.5, abs=0.01)
    assert seconds == pytest.approx(played_s, abs=0.1)


def test_cancel_reports_what_was_spoken(server: Running, socket: ClientConnection) -> None:
    send(socket, type="session.config", voice="heart", seed=5)
    send(socket, type="input.text", text=TEXT + " And so on, and on, and on. " * 20)
    send(socket, type="input.done")
    _, messages = receive_until(socket, until="audio.done")
    send(socket, type="input.cancel", played_ms=700)
    _sound, messages = receive_until(socket, until="input.cancelled")
    answer = messages[-1]
    assert answer["spoken_ms"] == 700
    assert answer["sent_ms"] > 900
    assert answer["utterance_index"] == 0
    assert "Hello there.".startswith(answer["text"])
    assert answer["text"]
    server.wait_for(lambda: server.is_idle)
    done = receive(socket)
    assert (done["type"], done["stopped"]) == ("session.done", "cancelled")


def test_the_slot_is_free_within_a_frame_of_a_cancel(
    server: Running, socket: ClientConnection
) -> None:
    send(socket, type="input.text", text="All the words that I know, and more. " * 30)
    assert receive(socket)["type"] == "audio.start"
    socket.recv(timeout=PATIENCE_S)
    with server.cancels():
        send(socket, type="input.cancel")
    _, messages = receive_until(socket)
    assert "input.cancelled" in kinds(messages)


def test_cancel_after_everything_was_sent(socket: ClientConnection) -> None:
    """Audio is sent faster than it is played, so most interruptions come after the end."""
    send(socket, type="session.config", voice="heart", seed=5)
    send(socket, type="input.text", text=TEXT)
    send(socket, type="input.done")
    sound, _messages = receive_until(socket)
    send(socket, type="input.cancel", played_ms=2000)
    answer = receive(socket)
    assert answer["type"] == "input.cancelled"
    assert answer["spoken_ms"] == 2000
    assert answer["sent_ms"] == round(len(sound) / 48)
    assert answer["text"].startswith("Hello there. How")
    assert len(answer["text"]) < len(TEXT)
    assert TEXT.startswith(answer["text"])


def test_cancel_without_an_utterance_is_no_error(socket: ClientConnection) -> None:
    send(socket, type="input.cancel")
    answer = receive(socket)
    facts = {"utterance_index": None, "text": "", "spoken_ms": 0, "sent_ms": 0}
    assert answer == {"type": "input.cancelled", **facts}


@pytest.mark.parametrize("played_ms", [None, 1000])
def test_the_context_is_what_was_heard(socket: ClientConnection, played_ms: int | None) -> None:
    send(socket, type="session.config", voice="heart", seed=5, conversation=True)
    send(socket, type="input.text", text="Hello there, my friend.")
    send(socket, type="input.done")
    receive_until(socket)
    if played_ms is not None:
        send(socket, type="input.cancel", played_ms=played_ms)
        receive_until(socket, until="input.cancelled")
    send(socket, type="input.text", text="Good bye.")
    send(socket, type="input.done")
    second, _ = receive_until(socket)

    async def alone() -> bytes:
        async def text(words: str):
            yield words

        first = await petit().astream(text("Hello there, my friend."), voice="heart", seed=5)
        async for _ in first:
            pass
        before = first.said(None if played_ms is None else played_ms / 1000)
        assert before
        again = await petit().astream(text("Good bye."), voice="heart", seed=5, context=before)
        return pcm16(np.concatenate([pcm async for pcm in again])).tobytes()

    assert second == asyncio.run(alone())
    assert second != pcm16(growing("Good bye.", 5)).tobytes()


def test_a_disconnect_frees_the_slot_within_a_frame(server: Running) -> None:
    with server.connect(PATH) as socket:
        send(socket, type="input.text", text="All the words that I know, and more. " * 30)
        send(socket, type="input.done")
        socket.recv(timeout=PATIENCE_S)
        socket.recv(timeout=PATIENCE_S)
        with server.cancels():
            socket.socket.close()  # without a close frame


def metrics(server: Running) -> list[str]:
    with urllib.request.urlopen(server.http + "/metrics") as answer:
        lines: list[str] = answer.read().decode().splitlines()
    return lines


def test_replies_are_counted_by_protocol(server: Running) -> None:
    with server.connect(PATH) as socket:
        send(socket, type="input.text", text="Hello there.")
        send(socket, type="input.done")
        while not isinstance(socket.recv(timeout=PATIENCE_S), bytes):
            pass
    server.wait_for(lambda: server.is_idle)
    counted = [line for line in metrics(server) if line.startswith("causerie_replies_total{")]
    assert any('protocol="vllm_omni"' in line for line in counted)
    assert not any('"native"' in line for line in counted)


def test_open_sockets_are_counted(server: Running) -> None:
    def count() -> float:
        lines = metrics(server)
        name = f'causerie_websockets{{route="{PATH}"}} '
        return next((float(line[len(name) :]) for line in lines if line.startswith(name)), 0.0)

    server.wait_for(lambda: count() == 0)
    with server.connect(PATH), server.connect(PATH):
        server.wait_for(lambda: count() == 2)
    server.wait_for(lambda: count() == 0)


def test_a_client_that_does_not_read_delays_only_itself(server: Running) -> None:
    """Once the network's buffers are full, nothing is generated, and no slot is taken."""
    stats = server.tts.engine.stats
    before = stats().num_frames
    with server.connect(PATH, max_queue=1) as deaf:
        # 1.5 MB a second of speech, so that the network's buffers are soon full
        send(deaf, type="session.config", voice="heart", seed=1, sample_rate=192_000, speed=0.25)
        for _ in range(10):
            send(deaf, type="input.text", text="All the words that I know, and so on. " * 6)
            send(deaf, type="input.done")
        count, since = before, time.monotonic()
        ends_at = since + 2 * PATIENCE_S
        while time.monotonic() - since < 1:  # a busy machine may compute no frame for a second
            if stats().num_frames != count or not server.is_idle:
                count, since = stats().num_frames, time.monotonic()
            assert time.monotonic() < ends_at, "a slot stays taken"
            time.sleep(0.01)
        assert before < count < before + 10 * 60  # of ten times about 150
        with server.connect(PATH) as other:
            send(other, type="input.text", text="Hello.")
            send(other, type="input.done")
            assert receive_until(other)[0]
        deaf.socket.close()


def test_a_client_that_never_reads_is_disconnected(
    server: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sockets, "STALL_S", 0.2)
    with server.connect(PATH, max_queue=1) as deaf:
        send(deaf, type="session.config", voice="heart", sample_rate=192_000, speed=0.25)
        for _ in range(10):
            send(deaf, type="input.text", text="All the words that I know, and so on. " * 6)
            send(deaf, type="input.done")
        server.wait_for(lambda: "a WebSocket is closed" in caplog.text)
        server.wait_for(lambda: server.is_idle)
        deaf.socket.close()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("nonsense", "invalid_json"),
        ('"a string"', "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ('{"type": "input.text", "text": NaN}', "invalid_json"),
        (b"\0\1", "invalid_json"),
        ('{"type": "input.text", "text": "%s"}' % ("a" * 300_000), "message_too_long"),
        ({}, "unknown_type"),
        ({"type": ["session.config"]}, "unknown_type"),
        ({"type": "input.text"}, "missing_required_parameter"),
        ({"type": "input.text", "text": 7}, "invalid_value"),
        ({"type": "input.text", "text": "a" * 2001}, "string_above_max_length"),
        ({"type": "session.config", "voice": "nobody"}, "voice_not_found"),
        ({"type": "session.config", "response_format": "midi"}, "invalid_value"),
        ({"type": "session.config", "speed": 9}, "invalid_value"),
        ({"type": "session.config", "speed": "fast"}, "invalid_value"),
        ({"type": "session.config", "sample_rate": 3}, "invalid_value"),
        ({"type": "input.cancel", "played_ms": -1}, "invalid_value"),
        ({"type": "input.cancel", "utterance_index": 3}, "unknown_utterance"),
    ],
)  # fmt: skip
def test_the_session_goes_on_after_errors(
    socket: ClientConnection, message: Any, code: str
) -> None:
    socket.send(message if isinstance(message, (str, bytes)) else json.dumps(message))
    _, messages = receive_until(socket, until="error")
    error = messages[-1]
    assert error["code"] == code
    assert error["message"]
    assert error["status"] == 400
    send(socket, type="session.config", seed=3)
    assert receive(socket)["type"] == "session.configured"


@pytest.mark.parametrize("config", [{"temperature": -1}, {"top_k": -1}, {"max_duration_s": 0}])
def test_errors_during_a_reply(socket: ClientConnection, config: dict[str, Any]) -> None:
    send(socket, type="session.config", **config)
    receive(socket)
    send(socket, type="input.text", text="Hello.")
    _, messages = receive_until(socket, until="error")
    assert messages[-1]["utterance_index"] == 0
    assert messages[-1]["code"] == "invalid_value"
    assert receive(socket)["stopped"] == "error"
    send(socket, type="session.config")
    send(socket, type="input.done")
    send(socket, type="input.text", text="Hello.")
    send(socket, type="input.done")
    assert receive_until(socket)[0]


def test_a_full_queue_is_an_error(server: Running) -> None:
    text = "All the words that I know, and so on. " * 20
    stats = server.tts.engine.stats
    with contextlib.ExitStack() as stack:
        for number in range(1, 6):  # three slots, two may wait
            socket = stack.enter_context(server.connect(PATH))
            send(socket, type="input.text", text=text)
            server.wait_for(lambda number=number: stats().active + stats().waiting == number)
        late = stack.enter_context(server.connect(PATH))
        send(late, type="input.text", text="Hello.")
        send(late, type="input.done")
        _, messages = receive_until(late, until="error")
        assert messages[-1]["code"] == "queue_full"
        assert messages[-1]["status"] == 429


def test_keys(tmp_path) -> None:
    with running(tmp_path, api_key=("secret",)) as server:
        for how in (
            {"additional_headers": {"Authorization": "Bearer secret"}},
            {"additional_headers": {"xi-api-key": "secret"}},
        ):
            with server.connect(PATH, **how) as socket:
                send(socket, type="session.config")
                assert receive(socket)["type"] == "session.configured"
        with server.connect(PATH + "?api_key=secret") as socket:
            send(socket, type="session.config")
            assert receive(socket)["type"] == "session.configured"
        for path in (PATH, PATH + "?api_key=wrong"):
            with pytest.raises(InvalidStatus) as refused:
                server.connect(path).__enter__()
            assert refused.value.response.status_code == 401
            body = json.loads(refused.value.response.body)
            assert body["error"]["code"] == "invalid_api_key"
