"""Names of models, voices and formats as other servers have them, and values that mean defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from causerie.audio.formats import format_name
from causerie.errors import ConfigError
from causerie.server.settings import Settings
from causerie.server.voices.foreign_names import PREMADE, foreign_voice
from tests.server.running import Running, petit, receive, running, send

TEXT = "Hello."
WOMEN, MEN = ("heart", "mia", "clara", "nadia", "ruth"), ("theo", "bruno", "oscar")


def post(server: Running, **body: Any) -> httpx.Response:
    body = {"input": TEXT, "seed": 1, "response_format": "pcm", **body}
    return httpx.post(f"{server.http}/v1/audio/speech", json=body)


@pytest.fixture(scope="module")
def spoken(server: Running) -> dict[str, bytes]:
    """The speech of each voice of petit."""
    return {voice: post(server, voice=voice).content for voice in petit().voices}


@pytest.mark.parametrize(
    ("body", "voice"),
    [
        ({"voice": ""}, "heart"),
        ({"voice": "  "}, "heart"),
        ({"voice": None}, "heart"),
        ({"voice": "default"}, "heart"),
        ({"voice": "heart "}, "heart"),
        ({"voice": " Theo\n"}, "theo"),
        ({"voice": "THEO"}, "theo"),
        ({"voice": {"id": " mia "}}, "mia"),
        ({"voice": "Alloy "}, "heart"),
        ({"voice": "af_heart", "model": "kokoro"}, "heart"),
        ({"voice": "af_heart", "model": "hexgrad/Kokoro-82M"}, "heart"),
        ({"model": "onnx-community/Kokoro-82M-v1.0-ONNX"}, "heart"),
        ({"model": "chatterbox", "params": {"seed": -1}, "stream": False}, "heart"),
        ({"model": " petit "}, "heart"),
        ({"model": ""}, "heart"),
        ({"model": "theo"}, "theo"),  # LibreChat, for LocalAI
        ({"model": "theo", "backend": "piper"}, "theo"),
        ({"model": "onyx"}, "bruno"),
        ({"model": None, "voice": None}, "heart"),
    ],
)  # fmt: skip
def test_names_of_models_and_voices(
    server: Running, spoken: dict[str, bytes], body: dict[str, Any], voice: str
) -> None:
    answer = post(server, **body)
    assert answer.status_code == 200, answer.text
    assert answer.content == spoken[voice]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model": "gpt-9"}, 404, "model_not_found"),
        ({"model": "gpt-9", "voice": "heart"}, 404, "model_not_found"),
        ({"model": "theo", "voice": "heart"}, 404, "model_not_found"),
        ({"model": "0"}, 404, "model_not_found"),
        ({"model": "gpt-9", "ref_audio": "AAAA", "ref_text": "a", "consent_attested": True},
         404, "model_not_found"),
        ({"voice": "af_sky+"}, 400, "voice_not_found"),
        ({"voice": "af_sky+nobody"}, 400, "voice_not_found"),
        ({"voice": "zz_top"}, 400, "voice_not_found"),
        ({"voice": "hart"}, 400, "voice_not_found"),
    ],
)  # fmt: skip
def test_unknown_names(server: Running, body: dict[str, Any], status: int, code: str) -> None:
    answer = post(server, **body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_an_empty_name_is_no_model_to_describe(server: Running) -> None:
    for path in "/v1/models/", "/v1/models/%20", "/v1/models/theo":
        assert httpx.get(server.http + path).status_code == 404
    assert httpx.get(f"{server.http}/v1/models/kokoro").json()["id"] == "kokoro"


def test_an_error_never_suggests_the_same_name(server: Running) -> None:
    message = post(server, voice="defaults").json()["error"]["message"]
    assert message == "no voice 'defaults': did you mean default?"
    assert "did you mean heart" in post(server, voice="hart").json()["error"]["message"]


@pytest.mark.parametrize(
    "name",
    [
        "af_heart", "af_bella", "bf_emma", "jf_alpha", "zf_xiaobei", "af_sky+af_bella",
        "af_sky(2)+am_adam(0.5)", "AF_Bella", "af_v0nicole", "ff_siwi", "bf_isabella-am_echo",
        "21m00Tcm4TlvDq8ikWAM", "EXAVITQu4vr4xnSDxMaL", "XrExE9yKIg1WjnnlVkGX",
        *list(PREMADE)[:21],
    ],
)  # fmt: skip
def test_female_names(name: str) -> None:
    assert foreign_voice(name, petit().voices) in WOMEN


def test_a_mix_has_a_note(server: Running, spoken: dict[str, bytes]) -> None:
    answer = post(server, voice="am_adam(2)+af_bella")
    assert answer.content in (spoken["theo"], spoken["bruno"], spoken["oscar"])
    assert "is a mix, which is not supported: " in answer.headers["x-notes"]
    assert "x-notes" not in post(server, voice="af_bella").headers


@pytest.mark.parametrize(
    "name",
    [
        "am_adam", "bm_george", "am_michael+af_bella", "pm_alex", "zm_yunxi",
        "JBFqnCBsd6RMkjVDRZzb", "pNInz6obpgDQGcFmaJgB", "Yko7PKHZNXotIFUBG7I9",
        *list(PREMADE)[21:],
    ],
)  # fmt: skip
def test_male_names(name: str) -> None:
    assert foreign_voice(name, petit().voices) in MEN


@pytest.mark.parametrize("name", ["af_heart", "bm_george", *PREMADE])
def test_names_for_other_models(name: str) -> None:
    assert foreign_voice(name, ["a", "b"]) in ("a", "b")
    assert isinstance(foreign_voice(name, []), int)


def test_aliases(tmp_path: Path, spoken: dict[str, bytes]) -> None:
    alias = "Assistant=theo, alloy = mia,my model=petit,nowhere=nobody"
    with running(tmp_path, alias=alias) as server:
        assert post(server, voice="assistant").content == spoken["theo"]
        assert post(server, voice=" ASSISTANT ").content == spoken["theo"]
        assert post(server, model="assistant").content == spoken["theo"]
        assert post(server, voice="alloy").content == spoken["mia"]
        assert post(server, model="My Model").content == spoken["heart"]
        assert "'nobody'" in post(server, voice="nowhere").json()["error"]["message"]
        with server.connect("/v1/audio/speech/stream") as socket:
            send(socket, type="session.config", voice="assistant", model="my model")
            assert receive(socket)["voice"] == "theo"
        path = "/v1/text-to-speech/assistant?output_format=pcm_24000"
        answer = httpx.post(server.http + path, json={"text": TEXT, "seed": 1})
        assert answer.content == spoken["theo"]
        assert httpx.get(f"{server.http}/v1/models/my%20model").status_code == 200


@pytest.mark.parametrize("alias", ["theo", "=theo", "a=", " = "])
def test_invalid_aliases(alias: str) -> None:
    with pytest.raises(ConfigError, match="an alias is like assistant=theo"):
        Settings.load(alias=[alias])


# -- defaults ----------------------------------------------------------------------------------


def test_null_means_the_default(server: Running, spoken: dict[str, bytes]) -> None:
    schema = httpx.get(f"{server.http}/openapi.json").json()["components"]["schemas"]
    for name, path, body in (
        ("SpeechRequest", "/v1/audio/speech", {"input": TEXT}),
        ("DialogueRequest", "/v1/audio/dialogue", {"turns": [{"text": TEXT}]}),
        ("SpeechBody", "/v1/text-to-speech/heart", {"text": TEXT}),
    ):
        nulls = {field: None for field in schema[name]["properties"] if field not in body}
        assert len(nulls) > 4
        answer = httpx.post(server.http + path, json={**nulls, **body, "unknown": None})
        assert answer.status_code == 200, answer.text
        assert "x-ignored-params" not in answer.headers
    turn = {"text": TEXT, "voice": None, "pause_s": None}
    assert httpx.post(f"{server.http}/v1/audio/dialogue", json={"turns": [turn]}).is_success
    items = [{"input": TEXT, "seed": None, "speed": None}]
    answer = httpx.post(
        f"{server.http}/v1/audio/speech/batch",
        json={"items": items, "seed": 1, "response_format": "pcm", "voice": None},
    )
    assert answer.json()["succeeded"] == 1
    assert answer.json()["results"][0]["seed"] == 1


@pytest.mark.parametrize("seed", [-1, -1.0, "-1"])
def test_seed_minus_1_is_random(server: Running, seed: object) -> None:
    first, second = (post(server, seed=seed).headers["x-seed"] for _ in range(2))
    assert first != second
    body = {"text": TEXT, "seed": seed}
    assert httpx.post(f"{server.http}/v1/text-to-speech/heart", json=body).status_code == 200
    assert post(server, seed=-2).status_code == 400


def test_seed_minus_1_by_websocket(server: Running) -> None:
    with server.connect("/v1/audio/speech/stream") as socket:
        send(socket, type="session.config", seed=-1)
        assert receive(socket)["seed"] is None
        send(socket, type="session.config", seed=-2)
        assert receive(socket)["param"] == "seed"
    path = "/v1/text-to-speech/heart/stream-input?output_format=pcm_24000&seed=-1"
    with server.connect(path) as socket:
        send(socket, text="...")
        send(socket, text="")
        assert receive(socket)["isFinal"]
    with server.connect("/v1/realtime") as socket:
        assert receive(socket)["type"] == "session.created"
        item = {"content": [{"type": "input_text", "text": "..."}]}
        send(socket, type="response.create", response={"input": [item], "seed": -1})
        assert receive(socket)["type"] == "response.created"
        while receive(socket)["type"] != "response.done":
            pass


def test_null_by_websocket(server: Running) -> None:
    with server.connect("/v1/audio/speech/stream") as socket:
        send(socket, type="session.config", speed=None, response_format=None, guard=None)
        assert receive(socket)["type"] == "session.configured"
    path = "/v1/text-to-speech/heart/stream-input?output_format=pcm_24000"
    with server.connect(path) as socket:
        send(socket, text="Hello. ", flush=None, voice_settings={"speed": None})
        send(socket, text="")
        message = receive(socket)
        assert message["audio"]
        while not message.get("isFinal"):
            message = receive(socket)
    with server.connect("/v1/realtime") as socket:
        assert receive(socket)["type"] == "session.created"
        send(socket, type="session.update", session={"type": None, "instructions": None})
        assert receive(socket)["type"] == "session.updated"


@pytest.mark.parametrize(
    ("name", "format", "kind"),
    [
        ("ogg", "opus", "audio/ogg"),
        ("OGG", "opus", "audio/ogg"),
        ("audio/ogg", "opus", "audio/ogg"),
        ("mulaw", "ulaw", "audio/pcmu"),
        ("g711_ulaw", "ulaw", "audio/pcmu"),
        ("g711-alaw", "alaw", "audio/pcma"),
        ("MP3", "mp3", "audio/mpeg"),
        (" .mp3", "mp3", "audio/mpeg"),
        ("audio/mpeg", "mp3", "audio/mpeg"),
        ("pcm16", "pcm", "audio/pcm"),
        ("pcm_s16le", "pcm", "audio/pcm"),
        ("WAV", "wav", "audio/wav"),
        ("audio/x-wav", "wav", "audio/wav"),
        ("FLAC", "flac", "audio/flac"),
    ],
)
def test_names_of_formats(server: Running, name: str, format: str, kind: str) -> None:
    assert format_name(name) == format
    answer = post(server, response_format=name)
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == kind
    if format != "opus":  # Ogg has a random number
        assert answer.content == post(server, response_format=format).content
    with server.connect("/v1/audio/speech/stream") as socket:
        send(socket, type="session.config", response_format=name)
        assert receive(socket)["format"] == format


@pytest.mark.parametrize("name", ["midi", "", "ogv", 3, "mp3mp3", "m4a"])
def test_unknown_formats(server: Running, name: object) -> None:
    answer = post(server, response_format=name)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "response_format")


# -- addresses ---------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["kokoro", "chatterbox", "hexgrad/Kokoro-82M", "petit", "tts-1"])
def test_voices_of_a_model(server: Running, model: str) -> None:
    """SillyTavern reads them so: `responseJson.voices.map(({ value, label }) => …)`."""
    voices = httpx.get(f"{server.http}/v1/audio/voices/{model}").json()["voices"]
    assert {voice["value"] for voice in voices} >= set(petit().voices)
    assert all(voice["label"] for voice in voices)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/audio/speech", "/v1/audio/speech"),
        ("/audio/speech/", "/v1/audio/speech"),
        ("/models", "/v1/models"),
        ("/v1/v1/audio/speech", "/v1/audio/speech"),
        ("/text-to-speech/heart/stream", "/v1/text-to-speech/heart/stream"),
        ("/v1/health", "/health"),
        ("/v1/nowhere", None),
        ("/nowhere", None),
    ],
)
def test_a_path_with_a_wrong_prefix_gets_a_hint(
    server: Running, path: str, hint: str | None
) -> None:
    for method in "GET", "POST":
        answer = httpx.request(method, server.http + path)
        assert answer.status_code == 404
        message = answer.json()["error"]["message"]
        assert message.endswith(f"did you mean {hint}?" if hint else "see /docs")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200), ("/health", 200), ("/ready", 200), ("/v1/models", 200), ("/metrics", 200),
        ("/v1/audio/voices", 200), ("/openapi.json", 200), ("/docs", 200), ("/nowhere", 404),
        ("/v1/audio/voices/nobody", 404), ("/v1/audio/speech", 405), ("/page/app.js", 200),
    ],
)  # fmt: skip
def test_head_has_the_headers_of_get(server: Running, path: str, status: int) -> None:
    head, get = (httpx.request(method, server.http + path) for method in ("HEAD", "GET"))
    assert head.status_code == get.status_code == status
    assert head.content == b""
    for name in "content-type", "content-length":
        if path not in ("/metrics", "/ready"):
            assert head.headers.get(name) == get.headers.get(name)
    assert head.headers["x-request-id"]


def test_lines_of_the_log_know_the_route_of_head(server: Running) -> None:
    httpx.head(f"{server.http}/health")
    metrics = httpx.get(f"{server.http}/metrics").text
    assert 'causerie_requests_total{method="HEAD",route="/health",status="200"}' in metrics
