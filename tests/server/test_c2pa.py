"""Whole files of a server are signed with C2PA manifests; streams are not."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from causerie.errors import ConfigError
from causerie.server.settings import Settings
from tests.server.running import Running, running

pytest.importorskip("c2pa", reason="c2pa-python is not installed")

from tests.audio.certificate import make_certificate, manifest_of


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("signing")
    cert, key = make_certificate(folder)
    with running(folder, consent="recording", c2pa_cert=str(cert), c2pa_key=str(key)) as here:
        yield here


def say(server: Running, **fields: Any) -> httpx.Response:
    body = {"input": "Hello.", "seed": 1, "max_duration_s": 1, **fields}
    answer = httpx.post(f"{server.http}/v1/audio/speech", json=body)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize(("format", "stream"), [("wav", False), ("mp3", False), ("flac", True)])
def test_a_whole_file_is_signed_and_known_again(server: Running, format: str, stream: bool) -> None:
    reply = say(server, response_format=format, stream=stream)
    manifest = manifest_of(reply.content, reply.headers["content-type"])
    assert manifest["claim_generator_info"][0]["name"] == "causerie"
    audio = base64.b64encode(reply.content).decode()
    turn = {"text": "Hello.", "audio": audio, "audio_token": reply.headers["x-audio-token"]}
    say(server, context=[turn])  # own speech, which needs no recorded consent


def test_a_batch_and_a_preview_are_signed(server: Running) -> None:
    body = {"items": [{"input": "Hello.", "response_format": "mp3", "max_duration_s": 1}]}
    result = httpx.post(f"{server.http}/v1/audio/speech/batch", json=body).json()["results"][0]
    manifest_of(base64.b64decode(result["audio_data"]), "audio/mpeg")
    preview = httpx.get(f"{server.http}/v1/audio/voices/mia/preview", timeout=60)
    manifest_of(preview.content, "audio/wav")


@pytest.mark.parametrize(("format", "stream"), [("wav", True), ("opus", False)])
def test_other_answers_are_as_without_a_certificate(
    server: Running, format: str, stream: bool
) -> None:
    reply = say(server, response_format=format, stream=stream)
    assert b"c2pa" not in reply.content


def test_a_certificate_and_its_key_belong_together() -> None:
    with pytest.raises(ConfigError, match="c2pa_cert and c2pa_key belong together"):
        Settings.load(c2pa_cert="cert.pem")
