"""SSML, pauses and pronunciations, the same on every route."""

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
    ring = 192  # samples for which the watermark's filters ring
    assert not sound[len(first) + ring : len(first) + 48_000].any()
    assert np.abs(sound[len(first) : len(first) + ring]).max() <= 33  # -60 dBFS
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
        ({"input": "Hello.", "ssml": True}, "invalid_text", "input"),
        ({"input": f"<speak>{'a' * 2000}</speak>"}, "string_above_max_length", "input"),
        ({"input": "<speak><voice name='nobody'>a</voice></speak>"}, "voice_not_found", "voice"),
    ],
)
def test_errors(server: Running, change: Any, code: str, param: str) -> None:
    answer = post(server, **change)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param), error


def test_a_document_type_is_refused_on_every_route(server: Running) -> None:
    text = '<!DOCTYPE speak [<!ENTITY a "b">]><speak>&a;</speak>'
    for path, body in (
        ("/v1/audio/speech", {"input": text}),
        ("/v1/audio/dialogue", {"turns": [{"text": text}]}),
        ("/v1/text-to-speech/mia", {"text": text}),
        ("/v1/text-to-speech/mia/stream/with-timestamps", {"text": text}),
        ("/v1/text-to-dialogue", {"inputs": [{"text": text, "voice_id": "mia"}]}),
    ):
        answer = post(server, path, **body)
        assert answer.status_code == 400, path
        assert "a DTD is not read" in answer.json()["error"]["message"]


CONTROLLED = 'Wait <break time="500ms"/> for [Kokoro](/kˈOkəɹO/) now.'


@pytest.fixture(scope="module")
def controlled() -> bytes:
    return pcm16(petit().generate(CONTROLLED, voice="mia", seed=1).samples).tobytes()


def test_every_http_route_reads_ssml_the_same_way(server: Running, controlled: bytes) -> None:
    ssml = CONTROLLED.replace("[Kokoro](/", '<phoneme ph="').replace("/)", '">Kokoro</phoneme>')
    for text in (CONTROLLED, ssml, f"<speak>{ssml}</speak>"):
        assert post(server, input=text).content == controlled
        path = "/v1/text-to-speech/mia?output_format=pcm_24000"
        assert post(server, path, text=text).content == controlled
    dialogue = post(server, "/v1/audio/dialogue", turns=[{"voice": "mia", "text": ssml}])
    assert dialogue.content == controlled


def test_sockets_read_ssml_the_same_way(server: Running, controlled: bytes) -> None:
    path = "/v1/text-to-speech/mia/stream-input?output_format=pcm_24000&seed=1"
    sound, chars, starts = b"", "", [0]
    with server.connect(path) as socket:
        for part in (CONTROLLED[:9], CONTROLLED[9:40], CONTROLLED[40:], ""):
            send(socket, text=part)
        while not (message := receive(socket)).get("isFinal"):
            sound += base64.b64decode(message["audio"] or "")
            if times := message["alignment"]:
                chars += "".join(times["chars"])
                starts.append(sum(times["charDurationsMs"]))
    assert sound == controlled
    assert "".join(chars.split()) == "".join(CONTROLLED.split())
    assert sum(starts) == pytest.approx(len(sound) / 48, abs=2)
    with server.connect("/v1/audio/speech/stream") as socket:
        send(socket, type="session.config", voice="mia", seed=1)
        send(socket, type="input.text", text=CONTROLLED)
        send(socket, type="input.done")
        sound = b""
        while not (isinstance(message := socket.recv(), str) and "session.done" in message):
            sound += message if isinstance(message, bytes) else b""
    assert sound == controlled


def test_lexicons_and_dictionaries(server: Running, controlled: bytes) -> None:
    plain = 'Wait <break time="500ms"/> for Kokoro now.'
    assert post(server, input=plain, lexicon={"Kokoro": "kˈOkəɹO"}).content == controlled
    rules = [{"string_to_replace": "Kokoro", "type": "phoneme", "phoneme": "kˈoʊkəroʊ"}]
    base = "/v1/pronunciation-dictionaries"
    made = post(server, f"{base}/add-from-rules", name="names", rules=rules).json()
    assert made["version_rules_num"] == 1
    lexeme = "<lexeme><grapheme>Kokoro</grapheme><alias>x</alias></lexeme>"
    pls = f'<lexicon alphabet="ipa">{lexeme}</lexicon>'
    files = {"file": ("a.pls", pls.encode())}
    other = httpx.post(f"{server.http}{base}/add-from-file", data={"name": "b"}, files=files).json()
    listed = httpx.get(server.http + base).json()["pronunciation_dictionaries"]
    assert {one["id"] for one in listed} == {made["id"], other["id"]}
    locators = [
        {"pronunciation_dictionary_id": one["id"], "version_id": one["version_id"]}
        for one in (made, other)
    ]
    path = "/v1/text-to-speech/mia?output_format=pcm_24000"
    body = {"text": plain, "pronunciation_dictionary_locators": locators}
    assert post(server, path, **body).content == controlled
    removed = post(server, f"{base}/{made['id']}/remove-rules", rule_strings=["Kokoro"]).json()
    assert removed["version_rules_num"] == 0
    again = httpx.get(f"{server.http}{base}/{made['id']}").json()
    assert again["latest_version_id"] == removed["version_id"]
    missing = post(
        server, path, text="a", pronunciation_dictionary_locators=[
            {"pronunciation_dictionary_id": "dict_x"}
        ],
    )  # fmt: skip
    assert missing.status_code == 404
    bad = post(server, f"{base}/add-from-rules", name="n", rules=[{**rules[0], "phoneme": "kʘ"}])
    assert bad.status_code == 400
    assert "'ʘ' at 2" in bad.json()["error"]["message"]
    assert post(server, input="a", lexicon={"x": "kʘ"}).status_code == 400
