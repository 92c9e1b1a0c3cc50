"""A recording in the context of a request needs the same consent as one that makes a voice."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from causerie.server.own_speech import MAX_FRAMES, MAX_REPLIES, OwnSpeech
from tests.patience import PATIENCE_S
from tests.server.running import Running, petit, receive, running, send

RATE = 24_000
WORDS = "This is how I sound."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("voices")) as here:
        yield here


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server where a statement is not enough, nor is a watermark."""
    with running(tmp_path_factory.mktemp("strict"), consent="recording") as here:
        yield here


@pytest.fixture(scope="module")
def recording() -> bytes:
    """Somebody's voice, which no server has made: backwards, it has no watermark."""
    audio = petit().generate(WORDS, voice="theo", seed=3)
    return replace(audio, samples=audio.samples[::-1].copy()).to_bytes(format="flac")


def turn(file: bytes, **fields: Any) -> dict[str, Any]:
    return {"text": WORDS, "audio": base64.b64encode(file).decode(), **fields}


def say(server: Running, context: list[dict[str, Any]], **fields: Any) -> httpx.Response:
    body = {"input": "And this is me.", "max_duration_s": 0.3, "context": context, **fields}
    return httpx.post(f"{server.http}/v1/audio/speech", json=body, timeout=PATIENCE_S)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def in_batch(server: Running, context: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    body = {"items": [{"input": "Hi.", "max_duration_s": 0.3, "context": context, **fields}]}
    url = f"{server.http}/v1/audio/speech/batch"
    (result,) = httpx.post(url, json=body, timeout=PATIENCE_S).json()["results"]
    return result


def test_a_recording_needs_consent(server: Running, recording: bytes) -> None:
    context = [turn(recording)]
    assert code(say(server, context)) == (400, "consent_required")
    assert say(server, context, consent_attested=True).status_code == 200
    ssml = {"input": '<speak>Hi. <voice name="mia">Ho.</voice></speak>'}
    assert code(say(server, context, **ssml)) == (400, "consent_required")
    assert say(server, context, **ssml, consent_attested=True).status_code == 200
    assert in_batch(server, context)["error"]["code"] == "consent_required"
    assert in_batch(server, context, consent_attested=True)["status"] == "success"


def test_policies_hold_for_contexts(tmp_path: Path, recording: bytes) -> None:
    context = [turn(recording)]
    with running(tmp_path, cloning=False) as server:
        answer = say(server, context, consent_attested=True)
        assert code(answer) == (403, "cloning_disabled")
        assert in_batch(server, context)["error"]["code"] == "cloning_disabled"
    with running(tmp_path, consent="recording") as server:
        assert code(say(server, context, consent_attested=True)) == (400, "consent_required")
        assert code(say(server, context, consent="cons_0")) == (400, "consent_not_found")
    with running(tmp_path, consent="off") as server:
        assert say(server, context).status_code == 200


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("format", ["mp3", "opus", "aac", "flac", "wav"])
def test_the_servers_own_speech_needs_no_consent(
    strict: Running, recording: bytes, format: str, stream: bool
) -> None:
    fields = {"input": WORDS, "response_format": format, "stream": stream, "max_duration_s": 5}
    fields["seed"] = 1
    reply = say(strict, [], **fields)
    token = reply.headers["x-audio-token"]
    assert say(strict, [turn(reply.content, audio_token=token)]).status_code == 200
    refused = (400, "consent_required")
    assert code(say(strict, [turn(reply.content)])) == refused
    assert code(say(strict, [turn(reply.content, audio_token="speech_made_up")])) == refused
    assert code(say(strict, [turn(recording, audio_token=token)])) == refused
    other = say(strict, [], **{**fields, "seed": 2}).headers["x-audio-token"]
    assert code(say(strict, [turn(reply.content, audio_token=other)])) == refused
    both = [turn(reply.content, audio_token=token), turn(recording, audio_token=token)]
    assert code(say(strict, both)) == refused


@pytest.mark.parametrize("format", ["pcm", "wav"])
def test_an_interrupted_reply_is_recognized_as_far_as_it_was_heard(
    strict: Running, recording: bytes, format: str
) -> None:
    fields = {"input": WORDS, "response_format": format, "max_duration_s": 5, "seed": 1}
    reply = say(strict, [], **fields, volume_multiplier=0.8)
    token, data = reply.headers["x-audio-token"], reply.content
    samples = np.frombuffer(data[44:] if format == "wav" else data, "<i2")

    def wav(values: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        soundfile.write(buffer, values, RATE, format="WAV", subtype="PCM_16")
        return buffer.getvalue()

    for end in len(samples), 20_000:
        heard = turn(wav(samples[:end]), audio_token=token) | {"text": ""}
        assert say(strict, [heard]).status_code == 200
    theirs, _ = soundfile.read(io.BytesIO(recording), dtype="int16")
    for changed in (
        samples[1000:],
        np.concatenate([samples[:20_000], theirs]),
        np.concatenate([samples, theirs]),
        samples[:1000],  # less than a frame
    ):
        answer = say(strict, [turn(wav(changed), audio_token=token)])
        assert code(answer) == (400, "consent_required")


def test_every_route_with_audio_has_a_token(strict: Running) -> None:
    body = {"text": "Hello."}
    for path in ("", "/stream", "/with-timestamps", "/stream/with-timestamps"):
        url = f"{strict.http}/v1/text-to-speech/mia{path}"
        assert "x-audio-token" in httpx.post(url, json=body, timeout=PATIENCE_S).headers
    url = f"{strict.http}/v1/audio/dialogue"
    answer = httpx.post(url, json={"input": "mia: Hello.\ntheo: Hi."}, timeout=PATIENCE_S)
    assert "x-audio-token" in answer.headers
    result = in_batch(strict, [])
    file = base64.b64decode(result["audio_data"])
    own = turn(file, audio_token=result["audio_token"]) | {"text": ""}
    assert say(strict, [own]).status_code == 200


def test_other_protocols_take_no_recordings(server: Running, recording: bytes) -> None:
    audio = base64.b64encode(recording).decode()
    sent = {"context": [turn(recording)], "ref_audio": audio, "ref_text": WORDS}
    body = {"text": "Hi.", "inputs": [{"text": "Hi.", "voice_id": "mia"}], "seed": 1}
    turns = {"turns": [{"text": "Hi."}], "seed": 1}

    def spoken(more: dict[str, Any]) -> bytes:
        with server.connect("/v1/audio/speech/stream") as socket:
            send(socket, type="session.config", seed=1, **more)
            assert receive(socket)["type"] == "session.configured"
            send(socket, type="input.text", text="Hi.")
            send(socket, type="input.done")
            data = b""
            while not (isinstance(message := socket.recv(), str) and "session.done" in message):
                data += message if isinstance(message, bytes) else b""
            return data

    for path, fields in (
        ("/v1/audio/dialogue", turns),
        ("/v1/text-to-dialogue", body),
        ("/v1/text-to-speech/mia", body),
    ):
        plain, other = (
            httpx.post(server.http + path, json={**fields, **more}, timeout=PATIENCE_S)
            for more in ({}, sent)
        )
        assert other.status_code == 200
        assert other.content == plain.content
        if fields is turns:
            assert other.headers["x-ignored-params"] == ", ".join(sent)
    assert spoken(sent) == spoken({})


def test_hours_of_silence_are_refused_at_once(server: Running) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((4 * 60 * RATE, 8), np.int16), RATE, format="FLAC")
    answer = say(server, [turn(buffer.getvalue())], consent_attested=True)
    assert code(answer) == (413, "too_large")
    assert answer.json()["error"]["param"] == "context.0.audio"


def test_a_context_has_a_greatest_length(server: Running) -> None:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).normal(0, 1000, 110 * 8000).astype(np.int16)
    soundfile.write(buffer, noise, 8000, format="OGG", subtype="OPUS")
    answer = say(server, 6 * [turn(buffer.getvalue())], consent_attested=True)
    assert code(answer) == (413, "too_large")
    assert answer.json()["error"]["param"] == "context"


def test_the_oldest_replies_are_forgotten() -> None:
    own = OwnSpeech()
    first, second = own.begin(), own.begin()
    for receipt in first, second:
        receipt.file.update(b"a")
    assert own.includes(first.token, b"a")
    second.frames += bytes(8 * MAX_FRAMES)
    third = own.begin()
    assert own.includes(second.token, b"a")
    third.frames += bytes(8)
    third = own.begin()
    assert not own.includes(first.token, b"a")
    assert not own.includes(second.token, b"a")
    third.file.update(b"a")
    for _ in range(MAX_REPLIES - 1):
        own.begin()
    assert own.includes(third.token, b"a")
    own.begin()
    assert not own.includes(third.token, b"a")
