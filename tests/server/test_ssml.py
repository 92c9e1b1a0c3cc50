"""SSML: spoken where it is supported, and refused elsewhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from causerie.audio.io import pcm16
from tests.patience import PATIENCE_S
from tests.server.running import Running, petit, receive, running, send

HELLO = "Hello, my friend."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("voices"), max_input_chars=2000) as here:
        yield here


def post(server: Running, path: str = "/v1/audio/speech", **body: Any) -> httpx.Response:
    fields = {"voice": "mia", "response_format": "pcm", "seed": 1, **body}
    return httpx.post(server.http + path, json=fields, timeout=PATIENCE_S)


def test_ssml_without_breaks_equals_the_text(server: Running) -> None:
    plain = pcm16(petit().generate(HELLO, voice="mia", seed=1).samples).tobytes()
    for text in (HELLO, f"<speak>\n {HELLO} </speak>", f"<speak><s>{HELLO[:-1]}</s></speak>"):
        answer = post(server, input=text)
        assert answer.status_code == 200, answer.text
        assert answer.content == plain
        assert "x-notes" not in answer.headers


def test_breaks_are_silence_and_unsupported_elements_are_noted(server: Running) -> None:
    text = (
        f'<speak>{HELLO}<break time="2s"/><prosody rate="slow">Good bye.</prosody>'
        f'<break time="500ms"/></speak>'
    )
    answer = post(server, input=text)
    assert answer.status_code == 200, answer.text
    assert json.loads(answer.headers["x-notes"]) == [
        "ssml: <prosody> does nothing here, its text is spoken"
    ]
    sound = np.frombuffer(answer.content, "<i2")
    first = pcm16(petit().generate(HELLO, voice="mia", seed=1).samples)
    assert (sound[: len(first)] == first).all()
    assert not sound[len(first) : len(first) + 48_000].any()
    assert sound[len(first) + 48_000 : -12_000].any()
    assert not sound[-12_000:].any()


def test_voices_equal_those_of_a_dialogue(server: Running) -> None:
    turns = [
        {"voice": "heart", "text": HELLO},
        {"voice": "theo", "text": "Is it?", "pause_s": 0.75},
    ]
    ssml = f'<speak>{HELLO}<break/><voice name="theo">Is it?</voice></speak>'
    dialogue = post(server, "/v1/audio/dialogue", turns=turns)
    assert dialogue.status_code == 200
    assert post(server, input=ssml, voice="heart").content == dialogue.content
    again = f'{ssml[:-8]} <voice name="heart">It was.</voice></speak>'
    three = [*turns, {"voice": "heart", "text": "It was.", "pause_s": 0}]
    expected = post(server, "/v1/audio/dialogue", turns=three).content
    assert post(server, input=again, voice="heart").content == expected
    events = post(server, input=ssml, voice="heart", stream_format="sse")
    data = [json.loads(line[6:]) for line in events.text.splitlines() if line.startswith("data: ")]
    joined = b"".join(base64.b64decode(one["audio"]) for one in data[:-1])
    assert joined == dialogue.content
    assert data[-1]["usage"]["output_tokens"] == (len(joined) // 2 - 18_000) // 1_920
    batch = post(server, "/v1/audio/speech/batch", items=[{"input": ssml, "voice": "heart"}])
    assert base64.b64decode(batch.json()["results"][0]["audio_data"]) == dialogue.content


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"input": "<speak>Hello"}, "invalid_text", "input"),
        ({"input": "<speak> </speak>"}, "empty_input", "input"),
        ({"input": "<speak><break/></speak>"}, "empty_input", "input"),
        ({"input": "<speak>☃</speak>"}, "empty_input", "input"),
        ({"input": "Hello.", "ssml": True}, "invalid_text", "input"),
        ({"input": f"<speak>{'a' * 2000}</speak>"}, "string_above_max_length", "input"),
        ({"input": "<speak><voice name='nobody'>a</voice></speak>"}, "voice_not_found", "voice"),
    ],
)
def test_errors(server: Running, change: Any, code: str, param: str) -> None:
    answer = post(server, **change)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param), error


def test_other_routes_refuse_ssml(server: Running) -> None:
    ssml = f"<speak>{HELLO}</speak>"
    for path, body in (
        ("/v1/text-to-speech/heart", {"text": ssml}),
        ("/v1/text-to-speech/heart/stream/with-timestamps", {"text": ssml}),
        ("/v1/audio/dialogue", {"turns": [{"text": ssml}]}),
    ):
        answer = post(server, path, **body)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "ssml_not_supported"
    with server.connect("/v1/text-to-speech/heart/multi-stream-input") as socket:
        for part in ("<spe", "ak>Hello there, my ", "friend. How are you?</speak> "):
            send(socket, text=part, context_id="a", flush=part.endswith(" "))
        assert receive(socket)["error"] == "ssml_not_supported"
    with server.connect("/v1/audio/speech/stream") as socket:
        send(socket, type="input.text", text=ssml)
        send(socket, type="input.done")
        assert receive(socket)["code"] == "ssml_not_supported"
