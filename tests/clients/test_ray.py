"""Two replicas behind a real Ray: both serve whoever asks, and one that dies takes only its own
streams along."""

from __future__ import annotations

import concurrent.futures
import io
import json
import os
import threading
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import torch
from safetensors.torch import save_file
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from causerie.checkpoint import load
from causerie.server.ray.proxy import LOST, REPLICA_HEADER
from tests.clients.ray_processes import PATIENCE_S, Cluster, serving

#: Some 20 s of speech, which take a few seconds to make.
TEXT = "We go down to the river, and we cross the bridge as long as it stands. " * 5
SLOTS, QUEUE = 2, 1
MODELS = "leon", "zoe"
SPEECH = {"voice": "heart", "seed": 7, "response_format": "pcm"}


def _adapters(folder: Path) -> Path:
    """Two adapters of petit's first layer, of random weights."""
    name = "backbone.layers.0.attention.v_proj"
    weight = load("petit").model.get_parameter(f"{name}.weight")
    for seed, adapter in enumerate(MODELS):
        torch.manual_seed(seed)
        place = folder / adapter / "adapter"  # as `causerie train lm` writes it
        place.mkdir(parents=True)
        facts = {"r": 2, "lora_alpha": 2, "base_model_name_or_path": "petit"}
        (place / "adapter_config.json").write_text(json.dumps(facts))
        pair = {"lora_A": (2, weight.shape[1]), "lora_B": (weight.shape[0], 2)}
        tensors = {
            f"base_model.model.{name}.{part}.weight": torch.randn(shape) / 2
            for part, shape in pair.items()
        }
        save_file(tensors, place / "adapter_model.safetensors")
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("ray")
    models = _adapters(folder / "models")
    flags = f"--replicas 2 --max-streams {SLOTS} --max-queue {QUEUE} --grace-s 20 --max-models 1"
    with serving(folder, *flags.split(), "--models", str(models)) as cluster:
        yield cluster


@dataclass
class Heard:
    """A stream that somebody listened to."""

    replica: str
    sound: bytes
    error: Exception | None
    first_s: float
    all_s: float


def _post(cluster: Cluster, text: str = TEXT, began: Callable[[], Any] = lambda: None) -> Heard:
    """Hear a reply over HTTP."""
    started, first_s, sound, error = time.monotonic(), 0.0, b"", None
    body = {**SPEECH, "input": text}
    with httpx.stream("POST", f"{cluster.url}/v1/audio/speech", json=body, timeout=60) as response:
        assert response.status_code == 200, response.read()
        try:
            for data in response.iter_bytes():
                if not sound:
                    first_s = time.monotonic() - started
                    began()
                sound += data
        except httpx.HTTPError as caught:
            error = caught
        replica = response.headers[REPLICA_HEADER]
    return Heard(replica, sound, error, first_s, time.monotonic() - started)


def _socket(cluster: Cluster, text: str = TEXT, began: Callable[[], Any] = lambda: None) -> Heard:
    """Hear a reply over a WebSocket."""
    started, first_s, sound, error = time.monotonic(), 0.0, b"", None
    url = cluster.url.replace("http", "ws") + "/v1/audio/speech/stream"
    with connect(url, max_size=None, open_timeout=60) as socket:
        assert socket.response is not None
        replica = socket.response.headers[REPLICA_HEADER]
        config = {"type": "session.config", "voice": SPEECH["voice"], "seed": SPEECH["seed"]}
        text_message = {"type": "input.text", "text": text}
        for message in config, text_message, {"type": "input.done"}, {"type": "session.close"}:
            socket.send(json.dumps(message))
        try:
            for data in socket:
                if isinstance(data, bytes):
                    if not sound:
                        first_s = time.monotonic() - started
                        began()
                    sound += data
        except ConnectionClosedError as caught:
            error = caught
    return Heard(replica, sound, error, first_s, time.monotonic() - started)


def _until(what: Callable[[], bool], seconds: float = 60.0) -> None:
    started = time.monotonic()
    while not what():
        assert time.monotonic() - started < seconds, "it did not come to be"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def alone(cluster: Cluster) -> dict[str, bytes]:
    """What a reply is with nobody else there, by each way."""
    return {"http": _post(cluster).sound, "socket": _socket(cluster).sound}


def test_both_replicas_answer_and_the_proxy_repeats_no_header(cluster: Cluster) -> None:
    assert len(cluster.processes()) == 2
    found: set[str] = set()
    _until(lambda: len(found.add(cluster.replica()) or found) == 2)
    answer = httpx.get(f"{cluster.url}/health", headers={"x-request-id": "mine"})
    assert answer.headers.get_list("x-request-id") == ["mine"]


def test_openai_s_client_speaks_and_hears_while_it_is_made(
    cluster: Cluster, alone: dict[str, bytes]
) -> None:
    started = time.monotonic()
    with cluster.openai().audio.speech.with_streaming_response.create(
        model="tts-1", voice="heart", input=TEXT, response_format="pcm", extra_body={"seed": 7}
    ) as response:
        chunks = response.iter_bytes()
        sound = next(chunks)
        first_s = time.monotonic() - started
        sound += b"".join(chunks)
    assert sound == alone["http"]
    assert len(sound) > 10 * 2 * 24_000
    assert first_s < (time.monotonic() - started) / 2
    with pytest.raises(openai.BadRequestError) as caught:
        cluster.openai().audio.speech.create(model="tts-1", voice="nobody", input="Hello.")
    assert caught.value.code == "voice_not_found"


def test_a_websocket_hears_while_it_is_made(cluster: Cluster, alone: dict[str, bytes]) -> None:
    heard = _socket(cluster)
    assert heard.error is None
    assert heard.sound == alone["socket"]
    assert heard.first_s < heard.all_s / 2


def test_a_voice_that_one_replica_took_is_spoken_by_the_other(cluster: Cluster) -> None:
    spoken = np.frombuffer(_post(cluster, "Hello, it is nice to meet you here.").sound, "<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(24_000)
        recording.writeframes(spoken.tobytes())
    added = httpx.post(
        f"{cluster.url}/v1/audio/voices",
        data={"name": "Ada", "ref_text": "Hello, it is nice to meet you here."},
        files={"audio_sample": ("ada.wav", file.getvalue(), "audio/wav")},
        timeout=60,
    )
    assert added.status_code == 200, added.text
    sounds: dict[str, bytes] = {}

    def speak() -> int:
        answer = httpx.post(
            f"{cluster.url}/v1/audio/speech",
            json={**SPEECH, "voice": {"id": added.json()["id"]}, "input": "Good morning."},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        sounds[answer.headers[REPLICA_HEADER]] = answer.content
        return len(sounds)

    _until(lambda: speak() == 2)
    first, second = sounds.values()
    assert first == second


def test_a_model_is_asked_for_where_it_is_loaded(cluster: Cluster) -> None:
    def speak(**asked: Any) -> tuple[str, bytes]:
        answer = httpx.post(
            f"{cluster.url}/v1/audio/speech",
            json={**SPEECH, "input": "Hello.", **asked},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        return answer.headers[REPLICA_HEADER], answer.content

    _, plain = speak()
    found: dict[str, tuple[str, bytes]] = {}
    for model in MODELS:
        first = speak(model=model)
        time.sleep(1.0)  # in which Ray tells its proxies who has it
        found[model] = first
        others = [speak(model=model) for _ in range(6)] + [
            speak(voice=model) for _ in range(3)
        ]  # its name is a voice too
        assert {replica for replica, _ in others} == {first[0]}
        assert {sound for _, sound in others[:6]} == {first[1]}
    (leon, leon_says), (zoe, zoe_says) = found.values()
    assert leon != zoe, "the second went where there was room"
    assert len({plain, leon_says, zoe_says}) == 3
    loaded: dict[str, list[str]] = {}

    def look() -> int:
        answer = httpx.get(f"{cluster.url}/ready")
        loaded[answer.headers[REPLICA_HEADER]] = answer.json()["loaded"]
        return len(loaded)

    _until(lambda: look() == 2)
    assert loaded == {leon: ["leon"], zoe: ["zoe"]}
    models = httpx.get(f"{cluster.url}/v1/models").json()["data"]
    assert [one["id"] for one in models[:4]] == ["petit", *MODELS, "tts-1"]
    with pytest.raises(openai.NotFoundError) as caught:
        cluster.openai().audio.speech.create(model="leo", voice="heart", input="Hello.")
    assert caught.value.code == "model_not_found"


def test_where_all_is_taken_it_says_when_to_come_again(cluster: Cluster) -> None:
    places = 2 * (SLOTS + QUEUE)
    with concurrent.futures.ThreadPoolExecutor(3 * places) as pool:
        asked = [pool.submit(_post_or_refused, cluster) for _ in range(3 * places)]
        answers = [one.result() for one in asked]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert len(answers) - len(refused) >= SLOTS + QUEUE
    for answer in refused:
        assert answer.json()["error"]["type"] == "rate_limit_error"
        assert answer.json()["error"]["code"] == "queue_full"
        assert int(answer.headers["retry-after"]) >= 1
    assert {answer.status_code for answer in answers} == {200, 429}


def _post_or_refused(cluster: Cluster) -> httpx.Response:
    body = {**SPEECH, "input": TEXT}
    return httpx.post(f"{cluster.url}/v1/audio/speech", json=body, timeout=60)


def test_who_leaves_frees_the_slot(cluster: Cluster) -> None:
    """More leave than there are places; then there is room for as many as there are slots."""
    body = {**SPEECH, "input": TEXT * 3}
    for _ in range(2 * (SLOTS + QUEUE) + 2):
        with httpx.stream(
            "POST", f"{cluster.url}/v1/audio/speech", json=body, timeout=60
        ) as response:
            assert response.status_code == 200
            next(response.iter_bytes())
    assert _post(cluster, "Hello.").first_s < 3


def test_a_replica_that_is_killed_loses_its_own_streams_only(
    cluster: Cluster, alone: dict[str, bytes]
) -> None:
    before = cluster.processes()
    assert len(before) == 2
    begun = threading.Barrier(2 * SLOTS + 1, timeout=60)
    ways = [(_post, "http"), (_socket, "socket")] * SLOTS
    with concurrent.futures.ThreadPoolExecutor(len(ways)) as pool:
        # One after the other, so that Ray knows how busy each replica is.
        asked = []
        for way, _ in ways:
            asked.append(pool.submit(way, cluster, TEXT, begun.wait))
            time.sleep(0.1)
        begun.wait()
        victim = min(before)
        os.kill(victim, SIGKILL)
        killed_at = time.monotonic()
        heard = [one.result(timeout=60) for one in asked]
    lost = [one for one in heard if one.error is not None]
    assert lost, "none of the streams was the killed replica's"
    assert len({one.replica for one in lost}) == 1
    assert not {one.replica for one in lost} & {one.replica for one in heard if not one.error}
    for one, (_, way) in zip(heard, ways, strict=True):
        if one.error is None:
            assert one.sound == alone[way]
        else:
            assert alone[way].startswith(one.sound)
            if isinstance(one.error, ConnectionClosedError):
                assert one.error.rcvd is not None
                assert one.error.rcvd.code == LOST
    assert len(lost) < len(heard), "those of the other replica went on"

    # While one is missing the other answers; then there are two again, and both serve.
    assert _post(cluster, "Hello.").error is None
    _until(lambda: len(cluster.processes()) == 2)
    found: set[str] = set()
    _until(lambda: len(found.add(cluster.replica()) or found) == 2)
    assert {one.replica for one in lost}.isdisjoint(found)
    assert time.monotonic() - killed_at < PATIENCE_S


def test_asked_to_end_it_lets_replies_end(cluster: Cluster, alone: dict[str, bytes]) -> None:
    begun = threading.Barrier(3, timeout=60)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(way, cluster, TEXT, begun.wait) for way in (_post, _socket)]
        begun.wait()
        cluster.process.terminate()
        time.sleep(1.0)
        late = httpx.get(f"{cluster.url}/v1/models")
        assert late.status_code == 503
        assert late.json()["error"]["type"] == "server_error"
        assert int(late.headers["retry-after"]) >= 1
        heard = [one.result(timeout=60) for one in asked]
    assert [one.error for one in heard] == [None, None]
    assert [one.sound for one in heard] == [alone["http"], alone["socket"]]
    assert cluster.process.wait(PATIENCE_S) == 0
    assert not cluster.processes()
