"""The lists of models and voices, with and without a key, in the formats of all clients."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from causerie.server.voices.foreign_names import PREMADE
from tests.server.running import Running, petit, running

LISTS = ["/v1/models", "/v1/audio/models", "/v1/audio/voices", "/v1/voices", "/v2/voices"]
KEY = {"authorization": "Bearer right"}
RACHEL, GEORGE = "21m00Tcm4TlvDq8ikWAM", "JBFqnCBsd6RMkjVDRZzb"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with a key and an uploaded voice."""
    with running(tmp_path_factory.mktemp("locked"), api_key=("right",)) as here:
        text = "This is how I sound when I talk about nothing."
        speech = petit().generate(text, seed=1)
        answer = httpx.post(
            f"{here.http}/v1/audio/voices",
            data={"name": "Clara Uploaded", "consent_attested": "true", "ref_text": text},
            files={"audio_sample": ("me.wav", speech.to_bytes(), "audio/wav")},
            headers=KEY,
        )
        assert answer.status_code == 200, answer.text
        yield here


def get(server: Running, path: str, **headers: str) -> httpx.Response:
    return httpx.get(server.http + path, headers=headers)


# -- without a key ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LISTS)
def test_lists_need_no_key_and_hide_uploaded_voices(locked: Running, path: str) -> None:
    for headers in {}, {"authorization": "Bearer"}:  # Open WebUI sends an empty one
        answer = get(locked, path, **headers)
        assert answer.status_code == 200, answer.text
        assert "Clara Uploaded" not in answer.text
        assert ("voices" not in path) or "heart" in answer.text
    assert get(locked, path, authorization="Bearer wrong").status_code == 401
    assert get(locked, path, **{"xi-api-key": "wrong"}).status_code == 401
    assert httpx.head(locked.http + path).status_code == 200
    known = get(locked, f"{path}?page_size=100", **KEY)
    assert known.status_code == 200
    assert ("Clara Uploaded" in known.text) == ("voices" in path)


def test_single_voices_without_a_key(locked: Running) -> None:
    id = next(
        voice["id"]
        for voice in get(locked, "/v1/audio/voices", **KEY).json()["voices"]
        if voice["origin"] == "uploaded"
    )
    for path in "/v1/audio/voices/{}", "/v1/voices/{}", "/v1/voices/{}/settings":
        assert get(locked, path.format("heart")).status_code == 200
        for name in id, "Clara Uploaded", "nobody":  # it does not show which of them exist
            assert get(locked, path.format(name)).status_code == 401
        assert get(locked, path.format(id), **KEY).status_code == 200
        assert get(locked, path.format("nobody"), **KEY).status_code == 404
    assert get(locked, "/v1/models/petit").status_code == 200
    assert get(locked, "/v1/audio/voices/kokoro").status_code == 200
    assert "Clara Uploaded" not in get(locked, "/v1/audio/voices/kokoro").text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/audio/voices/heart/preview"),
        ("POST", "/v1/audio/voices"),
        ("DELETE", "/v1/audio/voices/heart"),
        ("GET", "/v1/audio/voice_consents"),
        ("GET", "/v1/user"),
        ("GET", "/v1/user/subscription"),
        ("GET", "/v1/pronunciation-dictionaries"),
        ("GET", "/metrics"),
        ("POST", "/v1/audio/speech"),
        ("POST", "/v1/models"),
        ("POST", "/v1/text-to-dialogue"),
    ],
)
def test_everything_else_needs_the_key(locked: Running, method: str, path: str) -> None:
    assert httpx.request(method, locked.http + path).status_code == 401


# -- ElevenLabs ------------------------------------------------------------------------------------


def test_models_in_elevenlabs_format(server: Running) -> None:
    for headers in (
        {"xi-api-key": "x"},
        {"x-fern-sdk-name": "elevenlabs"},
        {"x-fern-sdk-name": "@elevenlabs/elevenlabs-js"},
    ):
        listed = get(server, "/v1/models", **headers).json()
        assert listed[0]["model_id"] == listed[0]["name"] == "petit"
        assert "eleven_multilingual_v2" in [model["model_id"] for model in listed]
        # as Open WebUI reads it
        assert [{"name": one["name"], "id": one["model_id"]} for one in listed]
    bearer = {"authorization": "Bearer x"}
    for headers in {}, bearer, {**bearer, "xi-api-key": "x"}:
        assert get(server, "/v1/models", **headers).json()["object"] == "list"


def test_pages_of_voices(server: Running) -> None:
    everything = get(server, "/v2/voices?page_size=100").json()
    assert not everything["has_more"]
    assert everything["next_page_token"] is None
    assert everything["voices"] == get(server, "/v1/voices").json()["voices"]
    found, token = [], ""
    while token is not None:
        page = get(server, f"/v2/voices?page_size=4&next_page_token={token}").json()
        assert page["total_count"] == len(everything["voices"])
        found += page["voices"]
        token = page["next_page_token"]
        assert page["has_more"] == (token is not None)
    assert found == everything["voices"]
    assert [one["name"] for one in get(server, "/v2/voices?search=HEART").json()["voices"]] == [
        "heart"
    ]
    assert get(server, "/v2/voices?category=cloned").json()["voices"] == []
    assert len(get(server, "/v2/voices?voice_ids=theo&voice_ids=mia").json()["voices"]) == 2


def test_a_voice_its_settings_and_its_preview(server: Running) -> None:
    voice = get(server, "/v1/voices/theo").json()
    assert voice["voice_id"] == "theo"
    assert voice["preview_url"] == f"{server.http}/v1/audio/voices/theo/preview"
    assert httpx.get(voice["preview_url"]).content[:4] == b"RIFF"
    behind = get(server, "/v1/voices/theo", host="nas.local").json()
    assert behind["preview_url"].startswith("http://nas.local/v1/")
    assert get(server, f"/v1/voices/{RACHEL}").json()["name"] == "Rachel"
    for name in "theo", RACHEL:
        assert get(server, f"/v1/voices/{name}/settings").json()["speed"] == 1
    assert get(server, "/v1/voices/settings/default").json()["stability"] == 0.5
    missing = get(server, "/v1/voices/nobody")
    assert missing.status_code == 404
    assert missing.json()["detail"]["status"] == "voice_not_found"


def test_the_account(server: Running) -> None:
    subscription = get(server, "/v1/user/subscription").json()
    assert subscription["character_limit"] - subscription["character_count"] > 1e6
    assert get(server, "/v1/user").json()["subscription"] == subscription


def pcm(server: Running, path: str, **body: Any) -> httpx.Response:
    return httpx.post(f"{server.http}{path}?output_format=pcm_24000", json=body)


@pytest.mark.parametrize("id", PREMADE)
def test_premade_voices_are_known(server: Running, id: str) -> None:
    assert pcm(server, f"/v1/text-to-speech/{id}", text="...").status_code == 200


def test_premade_voices_have_their_sex(server: Running) -> None:
    def spoken(voice: str) -> bytes:
        return pcm(server, f"/v1/text-to-speech/{voice}", text="Hello.", seed=1).content

    women, men = map(spoken, ("heart", "mia", "clara")), map(spoken, ("theo", "bruno"))
    assert spoken(RACHEL) in list(women)
    assert spoken(GEORGE) in list(men)


def test_a_dialogue(server: Running) -> None:
    inputs = [
        {"text": "Hello there. [laughs]", "voice_id": RACHEL},
        {"text": "Good morning. <break time='1s'/>", "voice_id": "theo"},
    ]
    for path in "/v1/text-to-dialogue", "/v1/text-to-dialogue/stream":
        answer = pcm(server, path, inputs=inputs, model_id="eleven_v3", seed=3)
        assert answer.status_code == 200
        samples = np.frombuffer(answer.content, "<i2")
        assert not samples[-24_000:].any()
    assert "tag that this model does not speak '[laughs]'" in answer.headers["x-notes"]
    ours = {"turns": [{"text": one["text"], "voice": one["voice_id"]} for one in inputs]}
    same = httpx.post(
        f"{server.http}/v1/audio/dialogue", json={**ours, "seed": 3, "response_format": "pcm"}
    )
    assert same.content == answer.content
    for wrong in {}, {"inputs": []}, {"inputs": [{"text": "Hi."}]}:
        answer = pcm(server, path, **wrong)
        assert (answer.status_code, "detail" in answer.json()) == (400, True)
    refused = pcm(server, path, inputs=[{"text": "Hi.", "voice_id": "nobody"}])
    assert refused.json()["error"]["code"] == "voice_not_found"


@pytest.mark.parametrize("kind", ["", "/stream", "/with-timestamps"])
def test_tags_and_breaks(server: Running, kind: str) -> None:
    text = "[laughs] Hello. <break time='1.0s' /> [whispers] Bye."
    answer = pcm(server, f"/v1/text-to-speech/heart{kind}", text=text, seed=1)
    content = answer.content
    if kind == "/with-timestamps":
        content = base64.b64decode(answer.json()["audio_base64"])
    expected = petit().generate("Hello. [pause 1s] Bye.", voice="heart", seed=1)
    assert len(content) == 2 * len(expected.samples)
    for tag in "[laughs]", "[whispers]":
        assert tag in answer.headers["x-notes"]
