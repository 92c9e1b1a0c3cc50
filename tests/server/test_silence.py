"""A text without a word: silence and a note on every route, an error with --strict."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest

from causerie.reply.turns import SILENCE_S
from tests.server.running import Running, petit, receive, running, send

#: Pieces of a language model's answer that was cut at lines and sentences.
TEXTS = [
    ".", "...", "…", "?!", "---", "***", "😀", "👩‍🚀 🎉", "```bash", "```", "|---|---|", "* ", "#",
    ">", "`", "![](a.png)", "<think>a plan</think>", "<br/>", "\n", " \t ", "", "\u200b", "[]()",
    "({[<>]})", "你好",
]  # fmt: skip
SAMPLES = round(24_000 * SILENCE_S)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("strict"), strict=True) as here:
        yield here


def post(server: Running, path: str = "/v1/audio/speech", **body: Any) -> httpx.Response:
    return httpx.post(server.http + path, json=body)


def hears_nothing(samples: np.ndarray) -> str:
    """A recognizer for silence, so that the tests need none with weights."""
    return ""


def has_note(notes: str | list[str]) -> bool:
    listed = json.loads(notes) if isinstance(notes, str) else notes
    return any(note.startswith("silence: ") for note in listed)


@pytest.mark.parametrize("text", TEXTS)
def test_speech_is_silence_with_a_note(server: Running, text: str) -> None:
    for more in {}, {"stream": False}, {"speed": 2.0}, {"normalize": "off"}:
        answer = post(server, input=text, response_format="pcm", **more)
        assert answer.status_code == 200, answer.text
        assert answer.content == bytes(2 * SAMPLES)
        assert has_note(answer.headers["x-notes"])


@pytest.mark.parametrize("format", "mp3 opus aac flac wav ulaw alaw".split())
@pytest.mark.parametrize("stream", [None, False])
def test_every_format_has_silence(server: Running, format: str, stream: bool | None) -> None:
    answer = post(server, input="😀", response_format=format, stream=stream)
    assert answer.status_code == 200
    assert has_note(answer.headers["x-notes"])
    if format in ("ulaw", "alaw"):
        assert len(answer.content) == round(8_000 * SILENCE_S)
        return
    with av.open(io.BytesIO(answer.content)) as file:
        frames = list(file.decode(audio=0))
    assert sum(frame.samples / frame.sample_rate for frame in frames) == pytest.approx(
        SILENCE_S, abs=0.1
    )
    assert max(np.abs(frame.to_ndarray().astype(float)).max() for frame in frames) < 1e-3


def test_events_are_silence(server: Running) -> None:
    answer = post(server, input="...", response_format="pcm", stream_format="sse")
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line[:6] == "data: "]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]) == bytes(2 * SAMPLES)
    assert events[-1]["type"] == "speech.audio.done"
    assert has_note(answer.headers["x-notes"])


@pytest.mark.parametrize(
    "text", ["<speak> </speak>", "<speak>☃</speak>", "<speak><voice name='theo'>.</voice></speak>"]
)
def test_ssml_without_a_word(server: Running, text: str) -> None:
    answer = post(server, input=text, response_format="pcm")
    assert (answer.status_code, answer.content) == (200, bytes(2 * SAMPLES))
    assert has_note(answer.headers["x-notes"])


@pytest.mark.parametrize(
    "text", ["[pause 0.5s]", "<break time='500ms'/> …", "<speak><break time='0.5s'/></speak>"]
)
def test_a_pause_alone_has_its_length(server: Running, text: str) -> None:
    answer = post(server, input=text, response_format="pcm")
    assert (answer.status_code, len(answer.content)) == (200, 24_000)


def test_a_pause_alone_is_a_text_for_strict_servers_too(strict: Running) -> None:
    answer = post(strict, input="[pause 0.5s]", response_format="pcm")
    assert (answer.status_code, answer.content) == (200, bytes(24_000))


def test_a_batch(server: Running) -> None:
    items = [{"input": text} for text in TEXTS]
    path = "/v1/audio/speech/batch"
    answer = post(server, path, items=items, response_format="pcm").json()
    assert answer["succeeded"] == len(TEXTS)
    for result in answer["results"]:
        assert base64.b64decode(result["audio_data"]) == bytes(2 * SAMPLES)
        assert has_note(result["notes"])


def test_a_dialogue(server: Running) -> None:
    path = "/v1/audio/dialogue"
    turns = [{"voice": "heart", "text": "..."}, {"voice": "theo", "text": "", "pause_s": 1}]
    for body in {"turns": turns}, {"input": "heart: ...\n[pause: 1s]\ntheo:"}:
        answer = post(server, path, response_format="pcm", **body)
        assert answer.status_code == 200, answer.text
        assert answer.content == bytes(2 * (2 * SAMPLES + 24_000))
        assert has_note(answer.headers["x-notes"])
    later = {"turns": [{"text": "Yes."}, {"text": "..."}]}
    for body in {"stream": False}, {"response_format": "flac"}:
        assert has_note(post(server, path, **later, **body).headers["x-notes"])
    assert post(server, path, response_format="pcm", input="\n").content == bytes(2 * SAMPLES)
    words = post(server, path, turns=[*turns, {"text": "Hello."}], response_format="pcm", seed=1)
    assert np.abs(np.frombuffer(words.content, "<i2").astype(int)).max() > 1000


@pytest.mark.parametrize("text", ["☃", " ", "", "..."])
def test_elevenlabs_routes(server: Running, text: str) -> None:
    path = "/v1/text-to-speech/heart{}?output_format=pcm_24000"
    for kind in "", "/stream":
        answer = post(server, path.format(kind), text=text)
        assert (answer.status_code, answer.content) == (200, bytes(2 * SAMPLES))
        assert has_note(answer.headers["x-notes"])
    for kind in "/with-timestamps", "/stream/with-timestamps":
        answer = post(server, path.format(kind), text=text)
        assert answer.status_code == 200
        timed = [json.loads(line) for line in answer.text.splitlines()]
        audio = b"".join(base64.b64decode(one["audio_base64"]) for one in timed)
        assert audio == bytes(2 * SAMPLES)
        times = [one["alignment"] for one in timed if one["alignment"]]
        assert "".join(char for one in times for char in one["characters"]) == text
        assert has_note(answer.headers["x-notes"])


def test_elevenlabs_websockets(server: Running) -> None:
    path = "/v1/text-to-speech/heart/stream-input?output_format=pcm_24000"
    with server.connect(path) as socket:
        send(socket, text="😀 ")
        send(socket, text="")
        messages = [receive(socket)]
        while not messages[-1].get("isFinal"):
            messages.append(receive(socket))
    assert [one["audio"] for one in messages] == [None]  # the context ends without audio
    assert messages[-1]["notes"]


def test_vllm_omnis_websocket(server: Running) -> None:
    with server.connect("/v1/audio/speech/stream") as socket:
        send(socket, type="input.text", text="...")
        send(socket, type="input.done")
        start, audio = receive(socket), socket.recv()
        done, ended = receive(socket), receive(socket)
    assert (start["type"], start["sentence_index"], start["sentence_text"]) == (
        "audio.start", 0, "...",
    )  # fmt: skip
    assert audio == bytes(2 * SAMPLES)
    assert (done["type"], done["total_bytes"], done["error"]) == ("audio.done", 2 * SAMPLES, False)
    assert (ended["type"], ended["stopped"]) == ("session.done", "end")
    assert has_note(ended["notes"])


def test_realtime(server: Running) -> None:
    with server.connect("/v1/realtime") as socket:
        content = [{"type": "input_text", "text": "😀"}]
        send(socket, type="response.create", response={"input": [{"content": content}]})
        messages = [receive(socket)]
        while messages[-1]["type"] != "response.done":
            messages.append(receive(socket))
            assert messages[-1]["type"] != "error", messages[-1]
    audio = [one["delta"] for one in messages if one["type"] == "response.output_audio.delta"]
    assert b"".join(map(base64.b64decode, audio)) == bytes(2 * SAMPLES)
    assert messages[-1]["response"]["status"] == "completed"
    assert has_note(messages[-1]["response"]["notes"])


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "empty_input"), ("\n", "empty_input"), ("...", "invalid_text"), ("😀", "invalid_text")],
)
def test_strict_servers_refuse_them(strict: Running, text: str, code: str) -> None:
    for path, field in (
        ("/v1/audio/speech", "input"),
        ("/v1/text-to-speech/heart", "text"),
        ("/v1/text-to-speech/heart/with-timestamps", "text"),
    ):
        answer = post(strict, path, **{field: text})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    answer = post(strict, "/v1/audio/dialogue", turns=[{"text": text}])
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    (result,) = post(strict, "/v1/audio/speech/batch", items=[{"input": text}]).json()["results"]
    assert result["error"]["code"] == code


@pytest.mark.parametrize("body", [{}, {"input": None}])
def test_a_missing_input_is_an_error(server: Running, body: dict[str, Any]) -> None:
    answer = post(server, **body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input")
    assert post(server, "/v1/text-to-speech/heart").status_code == 400
    assert post(server, "/v1/audio/dialogue").status_code == 400


@pytest.mark.parametrize("text", ["<phoneme ph='☃'>a</phoneme>", "<speak>Hello", "\ud800"])
def test_invalid_texts_are_errors(server: Running, text: str) -> None:
    body = json.dumps({"input": text})
    answer = httpx.post(
        f"{server.http}/v1/audio/speech", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400


@pytest.mark.parametrize("verify", [False, True, "all"])
@pytest.mark.parametrize("text", ["...", ["."], ["", "\n"], []])
def test_the_library_makes_silence_on_request(
    text: str | list[str], verify: Any, tmp_path: Path
) -> None:
    async def speak() -> tuple[np.ndarray, list[str]]:
        tts = petit(recognizer=hears_nothing)
        reply = await tts.astream(text, allow_silence=True, verify=verify)
        return np.concatenate([pcm async for pcm in reply]), reply.notes

    samples, notes = asyncio.run(speak())
    assert len(samples) == SAMPLES
    assert not samples.any()
    assert has_note(notes)
