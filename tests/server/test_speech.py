"""`/v1/audio/speech` and related routes, by OpenAI's client and by plain HTTP."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import openai
import pytest
import soundfile

from causerie.audio.io import pcm16
from tests.patience import PATIENCE_S
from tests.server.running import Running, petit, running

TEXT = "Good morning to all of you."
LONG = "We go down to the river, and we cross the bridge as long as it stands. " * 3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("voices"), max_input_chars=2000) as here:
        yield here


@pytest.fixture
def client(server: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.http}/v1", api_key="-", max_retries=0) as made:
        yield made


def post(server: Running, path: str = "/v1/audio/speech", **body: Any) -> httpx.Response:
    return httpx.post(server.http + path, json=body)


def decode(data: bytes) -> np.ndarray:
    """Samples at 24 kHz of a file of any format."""
    to_mono = av.AudioResampler(format="flt", layout="mono", rate=24_000)
    with av.open(io.BytesIO(data)) as container:
        frames = [made for frame in container.decode(audio=0) for made in to_mono.resample(frame)]
    frames += to_mono.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    return petit().generate(TEXT, voice="heart", seed=1).samples


# -- replies -------------------------------------------------------------------------------------


def test_pcm_equals_the_library(client: openai.OpenAI, expected: np.ndarray) -> None:
    speech = client.audio.speech.create(
        model="tts-1",
        voice="alloy",
        input=TEXT,
        response_format="pcm",
        extra_body={"seed": 1},
    )
    assert speech.content == pcm16(expected).tobytes()
    headers = speech.response.headers
    assert headers["content-type"].startswith("audio/pcm")
    assert headers["x-seed"] == "1"
    assert headers["x-request-id"].startswith("req_")
    assert int(headers["openai-processing-ms"]) >= 0
    assert headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("format", ["mp3", "opus", "aac", "flac", "wav"])
def test_all_formats_are_streamed_and_contain_the_audio(
    client: openai.OpenAI, expected: np.ndarray, format: Any
) -> None:
    create = client.audio.speech.with_streaming_response.create
    with create(
        model="gpt-4o-mini-tts",
        voice={"id": "heart"},
        input=TEXT,
        response_format=format,
        extra_body={"seed": 1},
    ) as response:
        chunks = list(response.iter_bytes())
    assert len(chunks) > 2
    sound = decode(b"".join(chunks))
    assert abs(len(sound) - len(expected)) < 2_400
    num = min(len(sound), len(expected))
    best = max(
        np.corrcoef(sound[shift:num], expected[: num - shift])[0, 1] for shift in range(0, 2400, 8)
    )
    assert best > 0.8


@pytest.mark.parametrize("more", [{}, {"stream": True}, {"stream": False}])
def test_a_flac_states_its_length(server: Running, expected: np.ndarray, more: Any) -> None:
    """Without it, libsndfile does not read the file."""
    answer = post(server, input=TEXT, response_format="flac", seed=1, **more)
    sound, rate = soundfile.read(io.BytesIO(answer.content), dtype="int16")
    assert rate == 24_000
    assert sound.tobytes() == pcm16(expected).tobytes()


def test_a_flac_in_events_and_of_other_routes_states_its_length(server: Running) -> None:
    events = post(server, input=TEXT, response_format="flac", stream_format="sse").text
    data = [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: ")]
    files = [b"".join(base64.b64decode(one["audio"]) for one in data[:-1])]
    turns = [{"text": "Hello."}, {"text": "Yes?"}]
    files.append(post(server, "/v1/audio/dialogue", turns=turns, response_format="flac").content)
    for path in "/v1/text-to-speech/heart", "/v1/text-to-speech/heart/stream":
        url = f"{server.http}{path}?output_format=flac_24000"
        files.append(httpx.post(url, json={"text": TEXT}).content)
    for file in files:
        assert len(soundfile.read(io.BytesIO(file))[0]) > 12_000


def test_a_disconnect_before_a_flac_is_complete_frees_the_slot(server: Running) -> None:
    speech = {"input": LONG * 8, "response_format": "flac"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.http}/v1/audio/speech", json=speech, timeout=0.5)
    server.wait_for(lambda: server.is_idle and server.num_active == 0)


@pytest.mark.parametrize("word", ["QmFzZTY0" * 500, f"https://a.example/{'x1' * 2000}", "9" * 4000])
def test_a_word_that_is_too_long_does_not_fail_the_text(tmp_path: Path, word: str) -> None:
    with running(tmp_path) as server:
        answer = post(server, input=f"Look at {word} here.", response_format="pcm")
        assert answer.status_code == 200, answer.text
        assert len(answer.content) > 24_000
        assert "letters, which does not fit the model" in answer.headers["x-notes"]
        alone = post(server, input=word, response_format="pcm")
        assert (alone.status_code, len(alone.content)) == (200, 4_800)


def test_the_limit_of_characters_can_be_raised(tmp_path: Path) -> None:
    text = "a " * 15_000
    with running(tmp_path, max_input_chars=30_000) as server:
        for path, body in (
            ("/v1/audio/speech", {"input": text, "max_duration_s": 0.1}),
            ("/v1/text-to-speech/heart/stream", {"text": "." * 30_000}),
        ):
            answer = httpx.post(server.http + path, json=body, timeout=PATIENCE_S)
            assert answer.status_code == 200, answer.text
            long = {name: f"{value}  ." for name, value in body.items() if isinstance(value, str)}
            refused = httpx.post(server.http + path, json=long)
            assert refused.json()["error"]["code"] == "string_above_max_length"


@pytest.mark.parametrize("format", ["ulaw", "alaw"])
def test_telephone_formats(server: Running, expected: np.ndarray, format: str) -> None:
    answer = post(server, input=TEXT, response_format=format, seed=1)
    assert answer.status_code == 200
    assert abs(len(answer.content) / 8_000 - len(expected) / 24_000) < 0.05


def test_audio_is_sent_while_it_is_generated(server: Running) -> None:
    speech = {"input": LONG * 2, "response_format": "pcm", "seed": 1}
    with httpx.stream("POST", f"{server.http}/v1/audio/speech", json=speech) as answer:
        chunks = answer.iter_bytes()
        next(chunks)
        assert server.num_active == 1  # the rest is not generated yet
        for _ in chunks:
            pass


def test_complete_files_have_a_length(server: Running, expected: np.ndarray) -> None:
    for format in ("wav", "flac"):
        answer = post(server, input=TEXT, response_format=format, seed=1, stream=False)
        assert int(answer.headers["content-length"]) == len(answer.content)
        info = soundfile.info(io.BytesIO(answer.content))
        assert info.frames == len(expected)


def test_speed_and_volume(server: Running, expected: np.ndarray) -> None:
    fast = post(server, input=TEXT, response_format="pcm", seed=1, speed=2)
    assert len(fast.content) / 2 == pytest.approx(len(expected) / 2, rel=0.05)
    soft = post(server, input=TEXT, response_format="pcm", seed=1, volume_multiplier=0.5)
    samples = np.frombuffer(soft.content, "<i2")
    assert np.abs(samples - pcm16(expected) / 2).max() <= 1


def test_events_contain_the_file(client: openai.OpenAI, expected: np.ndarray) -> None:
    create = client.audio.speech.with_streaming_response.create
    with create(
        model="gpt-4o-mini-tts",
        voice="alloy",
        input=TEXT,
        response_format="pcm",
        stream_format="sse",
        extra_body={"seed": 1},
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line.startswith("data: ")]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
    sound = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert sound == pcm16(expected).tobytes()
    assert events[-1]["type"] == "speech.audio.done"
    usage = events[-1]["usage"]
    assert usage["output_tokens"] == len(expected) // 1_920
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_context_changes_the_reply(server: Running) -> None:
    before = petit().generate("Hello, who are you?", voice="theo", seed=2)
    file = io.BytesIO()
    soundfile.write(file, before.samples, 24_000, format="WAV")
    audio = base64.b64encode(file.getvalue()).decode()
    turn = {"speaker": 0, "text": "Hello, who are you?"}
    options = {"input": TEXT, "response_format": "pcm", "seed": 1, "consent_attested": True}
    plain = post(server, **options)
    answers = [
        post(server, **options, context=[{**turn, "audio": sent}])
        for sent in (audio, f"data:audio/wav;base64,{audio}")
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content != plain.content
    unknown = post(server, **options, context=[{"speaker": 0, "audio": audio}])
    assert unknown.status_code == 200
    assert unknown.content not in (plain.content, answers[0].content)


def test_one_prompt(server: Running) -> None:
    text = "It is a fine day, and we walk to the sea. " * 7  # 293 characters
    options = {"seed": 1, "voice": "theo", "max_duration_s": 1.0}
    whole = petit().generate(text, one_prompt=True, **options)
    assert not np.array_equal(whole.samples, petit().generate(text, **options).samples)
    answer = post(server, input=text, response_format="pcm", one_prompt=True, **options)
    assert answer.content == pcm16(whole.samples).tobytes()


def test_unsupported_fields_are_reported(server: Running, tmp_path: Path) -> None:
    odd = {"input": TEXT, "instructions": "whisper", "lang_code": "a"}
    assert post(server, **odd).headers["x-ignored-params"] == "instructions, lang_code"
    with running(tmp_path, strict=True) as strict:
        refused = post(strict, **odd)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "unknown_parameter"


def test_concurrent_replies_equal_single_ones(server: Running) -> None:
    async def main() -> list[bytes]:
        async with openai.AsyncOpenAI(
            base_url=f"{server.http}/v1", api_key="-", max_retries=0
        ) as client:

            async def one(seed: int) -> bytes:
                speech = await client.audio.speech.create(
                    model="tts-1",
                    voice=("alloy", "onyx")[seed % 2],
                    input=f"{TEXT} Number {seed}.",
                    response_format="pcm",
                    extra_body={"seed": seed},
                )
                return speech.content

            alone = [await one(seed) for seed in range(4)]
            assert list(await asyncio.gather(*(one(seed) for seed in range(4)))) == alone
            return alone

    assert len(set(asyncio.run(main()))) == 4


def test_batch(server: Running, expected: np.ndarray) -> None:
    items = [{"input": TEXT, "voice": "alloy"}, {"voice": "alloy"}, {"input": "Hi.", "speed": 9}]
    answer = post(
        server, "/v1/audio/speech/batch", items=items, response_format="pcm", seed=1
    ).json()
    assert (answer["total"], answer["succeeded"], answer["failed"]) == (3, 1, 2)
    first, second, third = answer["results"]
    assert base64.b64decode(first["audio_data"]) == pcm16(expected).tobytes()
    assert first["media_type"].startswith("audio/pcm")
    assert second["error"]["code"] == "missing_required_parameter"
    assert third["error"]["param"] == "speed"


def test_dialogue(server: Running) -> None:
    turns = [
        {"voice": "heart", "text": "Good morning!"},
        {"voice": "theo", "text": "Is it?", "pause_s": 1.5},
    ]
    path = "/v1/audio/dialogue"
    answer = post(server, path, turns=turns, response_format="pcm", seed=3)
    assert answer.status_code == 200
    text = "heart: Good morning!\n[pause: 1.5s]\n\ntheo: Is it?"
    assert post(server, path, input=text, response_format="pcm", seed=3).content == answer.content
    other = post(server, path, turns=turns, response_format="pcm", seed=4)
    assert other.content != answer.content
    sound = np.frombuffer(answer.content, "<i2")
    silent = (np.abs(sound.astype(int)) == 0).astype(np.int8)
    assert silent.sum() >= 36_000
    whole = post(server, path, turns=turns, response_format="wav", seed=3, stream=False)
    assert soundfile.info(io.BytesIO(whole.content)).frames == len(sound)


def test_models(client: openai.OpenAI, server: Running) -> None:
    names = [model.id for model in client.models.list()]
    assert names[0] == "petit"
    assert [client.models.retrieve(name).id for name in names] == names
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")
    answer = httpx.get(f"{server.http}/v1/audio/models").json()
    assert [one["id"] for one in answer["models"]] == names


# -- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "status", "code", "param"),
    [
        ({"input": "a" * 2001}, 400, "string_above_max_length", "input"),
        ({"input": None}, 400, "invalid_value", "input"),
        ({"voice": "nobody"}, 400, "voice_not_found", "voice"),
        ({"voice": {"id": "voice_nobody"}}, 400, "voice_not_found", "voice"),
        ({"speed": 0.1}, 400, "invalid_value", "speed"),
        ({"response_format": "midi"}, 400, "invalid_value", "response_format"),
        ({"stream_format": "smoke"}, 400, "invalid_value", "stream_format"),
        ({"model": "gpt-9"}, 404, "model_not_found", "model"),
        ({"temperature": -1}, 400, "invalid_value", "temperature"),
        ({"seed": -2}, 400, "invalid_value", "seed"),
        ({"context": [{"text": "a", "audio": "!"}]}, 400, "invalid_audio", "context.0.audio"),
        ({"context": [{"text": "a", "audio": "ä"}]}, 400, "invalid_audio", "context.0.audio"),
        (
            {"context": [{"text": "a", "audio": "http://127.0.0.1/a.wav"}]},
            403, "urls_not_allowed", "context.0.audio",
        ),
    ],
)  # fmt: skip
def test_errors_have_openais_shape(
    server: Running, change: Any, status: int, code: str, param: str
) -> None:
    answer = post(server, **{"input": TEXT, **change})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param), error
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert "\n" not in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("POST", "/v1/audio/speech", {"content": b"{"}, 400),
        ("POST", "/v1/audio/speech", {"content": b""}, 400),
        ("POST", "/v1/audio/speech", {"json": []}, 400),
        ("POST", "/v1/audio/speech", {"json": {}}, 400),
        ("POST", "/v1/audio/dialogue", {"json": {}}, 400),
        ("POST", "/v1/audio/dialogue", {"json": {"input": "no colon"}}, 400),
        ("POST", "/v1/audio/dialogue", {"json": {"input": "a: b [pause: 99s]"}}, 400),
        ("POST", "/v1/audio/speech/batch", {"json": {"items": []}}, 400),
        ("GET", "/v1/audio/speech", {}, 405),
        ("GET", "/nowhere", {}, 404),
    ],
)
def test_other_errors_have_openais_shape(
    server: Running, method: str, path: str, sent: Any, status: int
) -> None:
    answer = httpx.request(method, server.http + path, **sent)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_a_full_queue_answers_with_retry_after(server: Running) -> None:
    """Three are spoken, two wait, and the sixth is refused before any audio."""
    entered, leave = threading.Barrier(6), threading.Event()
    statuses: list[int] = []

    def hold() -> None:
        speech = {"input": LONG * 8, "response_format": "pcm"}
        url = f"{server.http}/v1/audio/speech"
        entered.wait()
        with httpx.stream("POST", url, json=speech, timeout=PATIENCE_S) as answer:
            statuses.append(answer.status_code)
            leave.wait(PATIENCE_S)

    threads = [threading.Thread(target=hold) for _ in range(5)]
    for thread in threads:
        thread.start()
    entered.wait()
    stats = server.tts.engine.stats
    server.wait_for(lambda: (stats().active, stats().waiting) == (3, 2))
    refused = post(server, input=TEXT)
    leave.set()
    for thread in threads:
        thread.join()
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (429, "queue_full")
    assert error["type"] == "rate_limit_error"
    assert int(refused.headers["retry-after"]) >= 1
    assert int(refused.headers["retry-after-ms"]) > 0
    assert statuses == [200] * 5, "two of them waited in the queue"
    server.wait_for(lambda: server.is_idle and server.num_active == 0)


def test_a_disconnect_frees_the_slot_within_a_frame(server: Running) -> None:
    speech = {"input": LONG * 8, "response_format": "pcm"}
    with httpx.stream("POST", f"{server.http}/v1/audio/speech", json=speech) as answer:
        assert answer.status_code == 200
        chunks = answer.iter_bytes()  # disconnects when it is garbage-collected
        next(chunks)
        cancelled = server.num_cancelled
        assert server.num_active == 1
    server.wait_for_cancellation(cancelled)


# -- access and operation ------------------------------------------------------------------------


def test_keys(tmp_path: Path) -> None:
    with running(tmp_path, api_key=("right",)) as server:
        url = f"{server.http}/v1/audio/voice_consents"
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers={"authorization": "Bearer wrong"}).status_code == 401
        assert httpx.get(url, headers={"authorization": "Bearer right"}).status_code == 200
        assert httpx.get(url, headers={"xi-api-key": "right"}).status_code == 200
        assert httpx.get(f"{url}?api_key=right").status_code == 401
        for path in ("/health", "/ready", "/"):
            assert httpx.get(server.http + path).status_code == 200
        assert httpx.get(f"{server.http}/metrics").status_code == 401
        with openai.OpenAI(base_url=f"{server.http}/v1", api_key="wrong") as client:  # noqa: SIM117
            with pytest.raises(openai.AuthenticationError):
                client.models.list()


def test_foreign_pages_are_refused(server: Running) -> None:
    request = {"url": f"{server.http}/v1/audio/speech", "json": {"input": TEXT}}
    assert httpx.post(**request, headers={"origin": "https://evil.example"}).status_code == 403
    assert httpx.post(**request, headers={"host": "evil.example"}).status_code in (400, 403)
    assert httpx.post(**request, headers={"origin": server.http}).status_code == 200


def test_health_readiness_and_metrics(server: Running) -> None:
    assert httpx.get(f"{server.http}/health").json()["status"] == "ok"
    ready = httpx.get(f"{server.http}/ready").json()
    assert (ready["status"], ready["model"], ready["device"]) == ("ready", "petit", "cpu")
    post(server, input=TEXT, voice="nobody")
    post(server, input=TEXT)
    metrics = httpx.get(f"{server.http}/metrics").text
    for name in (
        'causerie_first_sound_seconds_count{protocol="http"}',
        "causerie_rtf_count",
        "causerie_active_streams 0.0",
        'causerie_guarded_total{reason="length"} 0.0',
        'causerie_errors_total{code="voice_not_found"}',
        'causerie_requests_total{method="POST",route="/v1/audio/speech",status="200"}',
    ):
        assert name in metrics, name


def test_a_request_keeps_its_id(server: Running) -> None:
    url = f"{server.http}/health"
    assert httpx.get(url, headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
    odd = httpx.get(url, headers={"x-request-id": "a b\tc" * 40}).headers["x-request-id"]
    assert odd.startswith("req_")
