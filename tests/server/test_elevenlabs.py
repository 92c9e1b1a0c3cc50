"""ElevenLabs' WebSockets and routes, against a real server."""

from __future__ import annotations

import base64
import io
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from causerie.audio.io import pcm16
from causerie.errors import ConfigError
from causerie.text.growing import FLUSH, Flush
from tests.patience import PATIENCE_S
from tests.server.running import Running, petit, receive, running, send

SINGLE = "/v1/text-to-speech/heart/stream-input?output_format=pcm_24000&seed=5"
MULTI = "/v1/text-to-speech/heart/multi-stream-input?output_format=pcm_24000&seed=5"
TEXT = "Hello there. How are you today? I hope that all is well with you and with your family."
LONG = "All the words that I know, and so on and on. " * 7


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("voices"), max_input_chars=2000) as here:
        yield here


@pytest.fixture
def single(server: Running) -> Iterator[ClientConnection]:
    with server.connect(SINGLE) as connection:
        yield connection


@pytest.fixture
def multi(server: Running) -> Iterator[ClientConnection]:
    with server.connect(MULTI) as connection:
        yield connection


def growing(*parts: str | Flush) -> bytes:
    """The library's audio for a text that is written in these parts."""
    return pcm16(petit().stream(parts, voice="heart", seed=5).collect().samples).tobytes()


def until_final(socket: ClientConnection, *names: str) -> list[dict[str, Any]]:
    """All messages until each of these contexts, or the only one, is final."""
    messages, left = [], set(names or [None])
    while left:
        messages.append(receive(socket))
        assert "error" not in messages[-1], messages[-1]
        if messages[-1].get("isFinal"):
            left.remove(messages[-1].get("contextId"))
    return messages


def sound(messages: list[dict[str, Any]], name: str | None = None) -> bytes:
    return b"".join(
        base64.b64decode(message["audio"])
        for message in messages
        if message["audio"] and message.get("contextId") == name
    )


def spoken(messages: list[dict[str, Any]], name: str | None = None) -> list[tuple[str, int, int]]:
    """Letters as a client adds them up: char, start, end."""
    letters, clock = [], 0
    for message in messages:
        times = message.get("alignment")
        if not times or message.get("contextId") != name:
            continue
        assert message["normalizedAlignment"] == times
        starts, spans = times["charStartTimesMs"], times["charDurationsMs"]
        assert len(times["chars"]) == len(starts) == len(spans)
        letters += [
            (char, clock + start, clock + start + span)
            for char, start, span in zip(times["chars"], starts, spans, strict=True)
        ]
        clock += starts[-1] + spans[-1]
    return letters


def closed(socket: ClientConnection) -> tuple[int, list[dict[str, Any]]]:
    """The close code of the server, and the messages before it."""
    messages = []
    while True:
        try:
            messages.append(receive(socket))
        except ConnectionClosed:
            assert socket.close_code is not None
            return socket.close_code, messages


# One text


def test_a_text_by_words_is_one_reply(single: ClientConnection) -> None:
    send(single, text=" ", voice_settings={"stability": 0.5, "similarity_boost": 0.8})
    words = [word + " " for word in TEXT.split()]
    for word in words:
        send(single, text=word, try_trigger_generation=True)
    send(single, text="")
    messages = until_final(single)
    assert sound(messages) == growing(" ", *words)
    assert closed(single) == (1000, [])
    assert not any("contextId" in message for message in messages)


def test_letters_have_times(single: ClientConnection) -> None:
    send(single, text=TEXT)
    send(single, text="")
    messages = until_final(single)
    letters = spoken(messages)
    assert "".join(char for char, _, _ in letters) == TEXT + " "
    assert all(0 <= start <= end for _, start, end in letters)
    assert all(this[2] == after[1] for this, after in itertools.pairwise(letters))
    assert letters[-1][2] == round(len(sound(messages)) / 48)
    # A sentence begins with its audio: the first one is a piece of its own.
    first = petit().stream(["Hello there. "], voice="heart", seed=5).collect()
    begins = letters[len("Hello there. ")]
    assert begins[:2] == ("H", round(1000 * len(first.samples) / 24_000))
    # No message is long, and letters are sent with their audio.
    # On a busy machine audio comes in pieces so short that some have no letter.
    timed = [message["alignment"] for message in messages if message["audio"]]
    assert all(times is None or len(times["chars"]) < 40 for times in timed)


def test_flush_speaks_everything_received(single: ClientConnection) -> None:
    send(single, text="Hello there, my ")
    send(single, text="friend ", flush=True)
    messages: list[dict[str, Any]] = []
    while "".join(char for char, _, _ in spoken(messages)) != "Hello there, my friend ":
        messages.append(receive(single))
    send(single, text="and good bye", flush=True)
    send(single, text="")
    messages += until_final(single)
    expected = growing("Hello there, my ", "friend ", FLUSH, "and good bye", FLUSH)
    assert sound(messages) == expected


def test_an_empty_text_is_final(single: ClientConnection) -> None:
    send(single, text=" ")
    send(single, text="")
    assert until_final(single) == [{"audio": None, "isFinal": True}]
    assert closed(single)[0] == 1000


def test_a_text_that_cannot_be_spoken_is_final_with_a_note(single: ClientConnection) -> None:
    send(single, text="☃ ")
    send(single, text="")
    (message,) = until_final(single)
    assert "☃" in message["notes"][0]


def test_speed_scales_the_alignment(server: Running) -> None:
    with server.connect(SINGLE) as socket:
        send(socket, text=" ", voice_settings={"speed": 2.0})
        send(socket, text="Hello there, my friend. ")
        send(socket, text="")
        messages = until_final(socket)
    usual = growing(" ", "Hello there, my friend. ")
    assert len(sound(messages)) == pytest.approx(len(usual) / 2, abs=4)
    assert spoken(messages)[-1][2] == pytest.approx(len(usual) / 48 / 2, abs=2)


@pytest.mark.parametrize(
    ("output_format", "rate"),
    [("mp3_44100_128", 44_100), ("mp3_22050_32", 22_050), ("pcm_16000", 16_000),
     ("ulaw_8000", 8000), ("alaw_8000", 8000), ("opus_48000_64", 48_000), ("wav_24000", 24_000)],
)  # fmt: skip
def test_output_formats(server: Running, output_format: str, rate: int) -> None:
    path = f"/v1/text-to-speech/heart/stream-input?output_format={output_format}&seed=5"
    with server.connect(path) as socket:
        send(socket, text="Hello there. Good bye. ")
        send(socket, text="")
        data = sound(until_final(socket))
    kind = output_format.partition("_")[0]
    raw = {"pcm": "s16le", "ulaw": "mulaw", "alaw": "alaw"}.get(kind)
    options = {"sample_rate": str(rate)} if raw else {}
    with av.open(io.BytesIO(data), format=raw, options=options) as file:
        frames = list(file.decode(audio=0))
    assert {frame.sample_rate for frame in frames} == {rate}
    seconds = sum(frame.samples for frame in frames) / rate
    assert seconds == pytest.approx(len(growing("Hello there. Good bye. ")) / 48_000, abs=0.12)


def test_idle_connections_are_closed(server: Running) -> None:
    with server.connect(SINGLE + "&inactivity_timeout=0.3") as socket:
        for _ in range(4):
            time.sleep(0.15)
            send(socket, text=" ")
        code, messages = closed(socket)
    assert code == 1008
    assert [message["error"] for message in messages] == ["input_timeout_exceeded"]


def test_a_connection_is_not_idle_during_a_reply(server: Running) -> None:
    with server.connect(SINGLE + "&inactivity_timeout=0.2") as socket:
        send(socket, text=TEXT, flush=True)
        code, messages = closed(socket)
    assert code == 1008
    assert sound([m for m in messages if "audio" in m]) == growing(TEXT)
    assert messages[-1]["error"] == "input_timeout_exceeded"


# Contexts


def test_contexts_are_spoken_concurrently(multi: ClientConnection) -> None:
    texts = {"a": "Hello there, how are you? ", "b": "Good bye then, see you soon. "}
    for name in texts:
        send(multi, text=" ", context_id=name)
    words = {name: [word + " " for word in text.split()] for name, text in texts.items()}
    for pair in itertools.zip_longest(*words.values(), fillvalue=""):
        for name, word in zip(texts, pair, strict=True):
            send(multi, text=word, context_id=name)  # "" keeps one alive
    for name in texts:
        send(multi, context_id=name, flush=True)
        send(multi, context_id=name, close_context=True)
    messages = until_final(multi, *texts)
    for name in texts:
        assert sound(messages, name) == growing(" ", *words[name], FLUSH)
    assert all(message["contextId"] == message["context_id"] for message in messages)


def test_what_livekit_sends(multi: ClientConnection) -> None:
    send(multi, text=" ", voice_settings={}, context_id="a")
    send(multi, text="Hello there. ", context_id="a", flush=True)
    send(multi, text="How are you today? ", context_id="a", flush=True)
    send(multi, text="", context_id="a", flush=True)
    send(multi, context_id="a", close_context=True)
    messages = until_final(multi, "a")
    expected = growing(" ", "Hello there. ", FLUSH, "How are you today? ", FLUSH)
    assert sound(messages, "a") == expected
    assert "".join(char for char, _, _ in spoken(messages, "a")) == (
        "Hello there. How are you today? "
    )


def test_what_pipecat_sends(multi: ClientConnection) -> None:
    send(multi, text="")  # keep-alive without a context
    send(multi, text=" ", context_id="a", voice_settings={"speed": 1.0})
    send(multi, text="Hello there. ", context_id="a")
    send(multi, context_id="a", flush=True)
    send(multi, context_id="a", close_context=True)
    send(multi, close_socket=True)
    messages = until_final(multi, "a")
    assert sound(messages, "a") == growing(" ", "Hello there. ", FLUSH)
    assert closed(multi) == (1000, [])


@pytest.fixture(scope="module")
def long_sound() -> bytes:
    """The audio of a long text, generated before a connection of the test can become idle."""
    return growing(LONG)


def test_a_context_that_is_not_flushed_is_cut_off(
    server: Running, long_sound: bytes, multi: ClientConnection
) -> None:
    """Apps interrupt a reply this way."""
    send(multi, text=LONG, context_id="a")
    receive(multi)
    with server.cancels():
        send(multi, context_id="a", close_context=True)
    messages = until_final(multi, "a")
    assert len(sound(messages, "a")) < len(long_sound) / 2
    send(multi, text="Hello. ", context_id="b", flush=True)
    send(multi, context_id="b", close_context=True)
    assert sound(until_final(multi, "b"), "b") == growing("Hello. ", FLUSH)


def test_a_context_id_can_be_reused(multi: ClientConnection) -> None:
    for text in ("One. ", "Two. "):
        send(multi, text=text, context_id="a", flush=True)
        send(multi, context_id="a", close_context=True)
    first, second = until_final(multi, "a"), until_final(multi, "a")
    assert sound(first, "a") == growing("One. ", FLUSH)
    assert sound(second, "a") == growing("Two. ", FLUSH)


def test_the_context_id_is_optional(multi: ClientConnection) -> None:
    send(multi, text="Hello. ", flush=True)
    send(multi, close_context=True)
    messages = until_final(multi)
    assert sound(messages) == growing("Hello. ", FLUSH)
    assert messages[-1]["contextId"] is None


def test_idle_contexts_are_spoken_to_the_end(server: Running) -> None:
    with server.connect(MULTI + "&inactivity_timeout=0.3") as socket:
        send(socket, text="Hello there. How are", context_id="a")
        messages = []
        while not messages or not messages[-1].get("isFinal"):
            messages.append(receive(socket))
            send(socket, text="")
        assert sound(messages, "a") == growing("Hello there. How are")


def test_the_number_of_contexts_is_limited(multi: ClientConnection) -> None:
    for number in range(33):
        send(multi, text=" ", context_id=str(number))
    error = receive(multi)
    assert error["error"] == "max_active_conversations"
    send(multi, context_id="0", close_context=True)
    until_final(multi, "0")
    send(multi, text="Hello. ", context_id="32", flush=True)
    send(multi, context_id="32", close_context=True)
    assert sound(until_final(multi, "32"), "32")


# Errors


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/text-to-speech/nobody/stream-input", "voice_not_found"),
        ("/v1/text-to-speech/heart/stream-input?output_format=midi", "invalid_value"),
        ("/v1/text-to-speech/heart/stream-input?output_format=mp3_12345_64", "invalid_value"),
        ("/v1/text-to-speech/heart/stream-input?output_format=pcm_1", "invalid_value"),
        ("/v1/text-to-speech/heart/multi-stream-input?seed=x", "invalid_value"),
        ("/v1/text-to-speech/heart/multi-stream-input?seed=-5", "invalid_value"),
        ("/v1/text-to-speech/heart/multi-stream-input?inactivity_timeout=-1", "invalid_value"),
        ("/v1/text-to-speech/heart/stream-input?apply_text_normalization=x", "invalid_value"),
    ],
)
def test_errors_of_the_url(server: Running, path: str, code: str) -> None:
    with server.connect(path) as socket:
        closing, messages = closed(socket)
    assert closing == 1008
    assert [(message["error"], message["code"]) for message in messages] == [(code, 1008)]
    assert messages[0]["message"]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("nonsense", "invalid_json"),
        ("[1]", "invalid_json"),
        (b"\0\1", "invalid_json"),
        ({}, "missing_required_parameter"),
        ({"text": 7}, "invalid_value"),
        ({"text": "a" * 2001, "context_id": "x"}, "string_above_max_length"),
        ({"text": "a", "context_id": "x" * 300}, "invalid_value"),
        ({"text": "a", "context_id": {}}, "invalid_value"),
        ({"text": "a", "voice_settings": {"speed": 40}}, "invalid_value"),
    ],
)
def test_errors_of_a_message_do_not_affect_others(
    multi: ClientConnection, message: Any, code: str
) -> None:
    multi.send(message if isinstance(message, (str, bytes)) else json.dumps(message))
    error = receive(multi)
    assert error["error"] == code
    assert error["message"]
    send(multi, text="Hello. ", context_id="b", flush=True)
    send(multi, context_id="b", close_context=True)
    assert sound(until_final(multi, "b"), "b") == growing("Hello. ", FLUSH)


def test_an_error_of_one_context_does_not_affect_others(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise ConfigError("made up")

    monkeypatch.setattr(server.tts, "astream", fail)
    with server.connect(MULTI) as socket:
        send(socket, text="Hello. ", context_id="a", flush=True)
        error = receive(socket)
        assert (error["error"], error["contextId"]) == ("invalid_value", "a")
        send(socket, text="More. ", context_id="a")
        assert receive(socket)["contextId"] == "a"
    with server.connect(SINGLE) as socket:
        send(socket, text="Hello. ", flush=True)
        code, (error,) = closed(socket)
        assert (code, error["error"]) == (1008, "invalid_value")


def test_a_disconnect_frees_the_slots_within_a_frame(server: Running) -> None:
    with server.connect(MULTI) as socket:
        for name in ("a", "b"):
            send(socket, text=LONG, context_id=name)
        names = set()
        while names != {"a", "b"}:
            names.add(receive(socket)["contextId"])
        with server.cancels():
            socket.socket.close()


def test_keys(tmp_path: Path) -> None:
    with running(tmp_path, api_key=("secret",)) as server:

        def is_accepted(path: str, headers: dict[str, str], **first: str) -> bool:
            with server.connect(path, additional_headers=headers) as socket:
                send(socket, text="Hello. ", **first)
                send(socket, text="")
                return bool(sound(until_final(socket)))

        assert is_accepted(SINGLE, {"xi-api-key": "secret"})
        assert is_accepted(SINGLE, {"Authorization": "Bearer secret"})
        assert is_accepted(SINGLE + "&xi-api-key=secret", {})
        assert is_accepted(SINGLE, {}, xi_api_key="secret")
        assert is_accepted(SINGLE, {}, **{"xi-api-key": "secret"})
        assert is_accepted(SINGLE, {}, authorization="Bearer secret")
        with pytest.raises(InvalidStatus) as refused:
            is_accepted(SINGLE, {"xi-api-key": "wrong"})
        assert refused.value.response.status_code == 401
        for first in ({}, {"xi_api_key": "wrong"}):
            with server.connect(SINGLE) as socket:
                send(socket, text="Hello. ", **first)
                code, (error,) = closed(socket)
                assert (code, error["error"]) == (1008, "invalid_api_key")


# HTTP


def post(server: Running, path: str, **body: Any) -> httpx.Response:
    return httpx.post(server.http + path, json=body, timeout=PATIENCE_S)


@pytest.mark.parametrize("end", ["", "/stream"])
def test_a_text_by_http(server: Running, end: str) -> None:
    path = f"/v1/text-to-speech/heart{end}?output_format=pcm_24000"
    answer = post(server, path, text=TEXT, seed=5, voice_settings={"stability": 0.4})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("audio/pcm")
    assert answer.headers["x-seed"] == "5"
    expected = petit().generate(TEXT, voice="heart", seed=5).samples
    assert answer.content == pcm16(expected).tobytes()


def timed(answer: httpx.Response) -> list[dict[str, Any]]:
    """The JSON objects of a response, one per line."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-seed"] == "5"
    return [json.loads(line) for line in answer.text.splitlines()]


def letters_of(objects: list[dict[str, Any]]) -> list[tuple[str, float, float]]:
    """Characters with their times in seconds, from all objects in order."""
    letters = []
    for one in objects:
        times = one["alignment"]
        assert one["normalized_alignment"] == times
        if times is not None:
            starts, ends = (times[f"character_{end}_times_seconds"] for end in ("start", "end"))
            letters += zip(times["characters"], starts, ends, strict=True)
    return letters


@pytest.mark.parametrize(
    ("end", "speed"),
    [("", 2.0), pytest.param("/stream", 1.0, marks=pytest.mark.slow), ("/stream", 2.0)],
)
def test_letters_have_times_by_http(server: Running, end: str, speed: float) -> None:
    text = f"{TEXT}\n\nHello ☃ there.\t  And this is the end of it all!  \n"
    path = f"/v1/text-to-speech/heart{end}/with-timestamps?output_format=pcm_24000"
    objects = timed(post(server, path, text=text, seed=5, voice_settings={"speed": speed}))
    assert len(objects) == 1 if not end else len(objects) > 5
    data = b"".join(base64.b64decode(one["audio_base64"]) for one in objects)
    expected = petit().generate(text, voice="heart", seed=5)
    if speed == 1:
        assert data == pcm16(expected.samples).tobytes()
    letters = letters_of(objects)
    assert "".join(char for char, _, _ in letters) == text
    assert letters[0][1] == 0
    assert all(start <= stop for _, start, stop in letters)
    assert all(this[2] == after[1] for this, after in itertools.pairwise(letters))
    assert letters[-1][2] == pytest.approx(len(expected.samples) / 24_000 / speed, abs=0.002)


def test_timed_audio_is_streamed_and_complete_files_have_a_length(server: Running) -> None:
    path = "/v1/text-to-speech/heart{}/with-timestamps?output_format=wav_24000"
    body = {"text": LONG, "seed": 5}
    url = server.http + path.format("/stream")
    with httpx.stream("POST", url, json=body, timeout=PATIENCE_S) as answer:
        lines = answer.iter_lines()  # disconnects when it is garbage-collected
        first = json.loads(next(lines))
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert base64.b64decode(first["audio_base64"]).startswith(b"RIFF\xff\xff\xff\xff")
        cancelled = server.num_cancelled
        assert server.num_active == 1
    server.wait_for_cancellation(cancelled)
    answer = post(server, path.format(""), text="Hello.", seed=5)
    assert answer.headers["content-type"] == "application/json"
    (one,) = timed(answer)
    data = base64.b64decode(one["audio_base64"])
    assert int.from_bytes(data[4:8], "little") == len(data) - 8


def test_http_answers_mp3_by_default(server: Running) -> None:
    answer = post(server, "/v1/text-to-speech/heart", text="Hello.", seed=5)
    assert answer.headers["content-type"] == "audio/mpeg"
    with av.open(io.BytesIO(answer.content)) as file:
        frames = list(file.decode(audio=0))
    assert {frame.sample_rate for frame in frames} == {44_100}


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/text-to-speech/nobody", {"text": "Hello."}, "voice_not_found"),
        ("/v1/text-to-speech/heart", {}, "missing_required_parameter"),
        ("/v1/text-to-speech/heart?output_format=midi", {"text": "Hello."}, "invalid_value"),
        ("/v1/text-to-speech/heart", {"text": "a" * 2001}, "string_above_max_length"),
        ("/v1/text-to-speech/nobody/with-timestamps", {"text": "Hello."}, "voice_not_found"),
        (
            "/v1/text-to-speech/heart/stream/with-timestamps?output_format=midi",
            {"text": "Hello."},
            "invalid_value",
        ),
    ],
)
def test_errors_by_http(server: Running, path: str, body: dict[str, Any], code: str) -> None:
    answer = post(server, path, **body)
    assert answer.status_code == 400
    error, detail = answer.json()["error"], answer.json()["detail"]
    assert error["code"] == code
    assert detail == {"status": code, "message": error["message"]}


def test_the_list_of_voices(server: Running) -> None:
    listed = httpx.get(server.http + "/v1/voices").json()["voices"]
    assert {voice["voice_id"] for voice in listed} >= set(petit().voices)
    assert {voice["category"] for voice in listed} == {"premade"}


def test_an_http_disconnect_frees_the_slot(server: Running) -> None:
    path = server.http + "/v1/text-to-speech/heart/stream?output_format=pcm_24000"
    with httpx.stream("POST", path, json={"text": LONG}, timeout=PATIENCE_S) as answer:
        chunks = answer.iter_raw()  # disconnects when it is garbage-collected
        next(chunks)
        cancelled = server.num_cancelled
        assert server.num_active == 1
    server.wait_for_cancellation(cancelled)
