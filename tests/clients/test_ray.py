"""Two replicas on a real Ray: both serve requests, and one that dies ends only its own streams."""

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
from causerie.server.ray.proxy import REPLICA_HEADER, SERVICE_RESTART
from tests.clients.ray_processes import PATIENCE_S, Cluster, serving

#: About 20 s of speech, which take a few seconds to make.
TEXT = "We go down to the river, and we cross the bridge as long as it stands. " * 5
SLOTS, QUEUE = 2, 1
MODELS = "leon", "zoe"
SPEECH = {"voice": "heart", "seed": 7, "response_format": "pcm"}


def _adapters(folder: Path) -> Path:
    """Two adapters of petit's first layer, with random weights."""
    name = "backbone.layers.0.attention.v_proj"
    weight = load("petit").model.get_parameter(f"{name}.weight")
    for seed, adapter in enumerate(MODELS):
        torch.manual_seed(seed)
        adapter_folder = folder / adapter / "adapter"  # as `causerie train lm` writes it
        adapter_folder.mkdir(parents=True)
        facts = {"r": 2, "lora_alpha": 2, "base_model_name_or_path": "petit"}
        (adapter_folder / "adapter_config.json").write_text(json.dumps(facts))
        pair = {"lora_A": (2, weight.shape[1]), "lora_B": (weight.shape[0], 2)}
        tensors = {
            f"base_model.model.{name}.{part}.weight": torch.randn(shape) / 2
            for part, shape in pair.items()
        }
        save_file(tensors, adapter_folder / "adapter_model.safetensors")
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("ray")
    models = _adapters(folder / "models")
    flags = f"--replicas 2 --max-streams {SLOTS} --max-queue {QUEUE} --grace-s 20 --max-models 1"
    with serving(folder, *flags.split(), "--models", str(models)) as cluster:
        yield cluster


@dataclass
class Reply:
    """A reply, complete or up to an error."""

    replica: str
    sound: bytes
    error: Exception | None
    first_s: float
    total_s: float


def _post(cluster: Cluster, text: str = TEXT, began: Callable[[], Any] = lambda: None) -> Reply:
    """Receive a reply over HTTP; `began` is called at its first chunk."""
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
    return Reply(replica, sound, error, first_s, time.monotonic() - started)


def _socket(cluster: Cluster, text: str = TEXT, began: Callable[[], Any] = lambda: None) -> Reply:
    """Receive a reply over a WebSocket; `began` is called at its first chunk."""
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
    return Reply(replica, sound, error, first_s, time.monotonic() - started)


def _until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, "timed out"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def alone(cluster: Cluster) -> dict[str, bytes]:
    """The reply without other load, over HTTP and over a WebSocket."""
    return {"http": _post(cluster).sound, "socket": _socket(cluster).sound}


def test_both_replicas_respond_and_the_proxy_repeats_no_header(cluster: Cluster) -> None:
    assert len(cluster.processes()) == 2
    found: set[str] = set()
    _until(lambda: len(found.add(cluster.replica()) or found) == 2)
    answer = httpx.get(f"{cluster.url}/health", headers={"x-request-id": "mine"})
    assert answer.headers.get_list("x-request-id") == ["mine"]


def test_openais_client_receives_audio_while_it_is_made(
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


def test_a_websocket_receives_audio_while_it_is_made(
    cluster: Cluster, alone: dict[str, bytes]
) -> None:
    reply = _socket(cluster)
    assert reply.error is None
    assert reply.sound == alone["socket"]
    assert reply.first_s < reply.total_s / 2


def test_a_voice_uploaded_to_one_replica_works_on_the_other(cluster: Cluster) -> None:
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


def test_requests_go_to_the_replica_that_has_the_model(cluster: Cluster) -> None:
    def speak(**fields: Any) -> tuple[str, bytes]:
        answer = httpx.post(
            f"{cluster.url}/v1/audio/speech",
            json={**SPEECH, "input": "Hello.", **fields},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        return answer.headers[REPLICA_HEADER], answer.content

    _, plain = speak()
    found: dict[str, tuple[str, bytes]] = {}
    for model in MODELS:
        first = speak(model=model)
        time.sleep(1.0)  # until Ray has informed its proxies
        found[model] = first
        others = [speak(model=model) for _ in range(6)] + [
            speak(voice=model) for _ in range(3)
        ]  # its name is a voice too
        assert {replica for replica, _ in others} == {first[0]}
        assert {sound for _, sound in others[:6]} == {first[1]}
    (leon, leon_sound), (zoe, zoe_sound) = found.values()
    assert leon != zoe, "the second model goes to the free replica"
    assert len({plain, leon_sound, zoe_sound}) == 3
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


def test_a_full_server_answers_429_with_retry_after(cluster: Cluster) -> None:
    capacity = 2 * (SLOTS + QUEUE)
    with concurrent.futures.ThreadPoolExecutor(3 * capacity) as pool:
        requests = [pool.submit(_post_any_status, cluster) for _ in range(3 * capacity)]
        answers = [one.result() for one in requests]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert len(answers) - len(refused) >= SLOTS + QUEUE
    for answer in refused:
        assert answer.json()["error"]["type"] == "rate_limit_error"
        assert answer.json()["error"]["code"] == "queue_full"
        assert int(answer.headers["retry-after"]) >= 1
    assert {answer.status_code for answer in answers} == {200, 429}


def _post_any_status(cluster: Cluster) -> httpx.Response:
    body = {**SPEECH, "input": TEXT}
    return httpx.post(f"{cluster.url}/v1/audio/speech", json=body, timeout=60)


def test_a_client_that_disconnects_frees_its_slot(cluster: Cluster) -> None:
    """More clients disconnect than there are slots and queue places; then a new one gets audio."""
    body = {**SPEECH, "input": TEXT * 3}
    for _ in range(2 * (SLOTS + QUEUE) + 2):
        with httpx.stream(
            "POST", f"{cluster.url}/v1/audio/speech", json=body, timeout=60
        ) as response:
            assert response.status_code == 200
            next(response.iter_bytes())
    assert _post(cluster, "Hello.").first_s < 3


def test_a_killed_replica_ends_only_its_own_streams(
    cluster: Cluster, alone: dict[str, bytes]
) -> None:
    before = cluster.processes()
    assert len(before) == 2
    begun = threading.Barrier(2 * SLOTS + 1, timeout=60)
    ways = [(_post, "http"), (_socket, "socket")] * SLOTS
    with concurrent.futures.ThreadPoolExecutor(len(ways)) as pool:
        # One after the other, so that Ray sees how busy each replica is.
        requests = []
        for way, _ in ways:
            requests.append(pool.submit(way, cluster, TEXT, begun.wait))
            time.sleep(0.1)
        begun.wait()
        victim = min(before)
        os.kill(victim, SIGKILL)
        killed_at = time.monotonic()
        replies = [one.result(timeout=60) for one in requests]
    lost = [one for one in replies if one.error is not None]
    assert lost, "the killed replica had no stream"
    assert len({one.replica for one in lost}) == 1
    assert not {one.replica for one in lost} & {one.replica for one in replies if not one.error}
    for one, (_, way) in zip(replies, ways, strict=True):
        if one.error is None:
            assert one.sound == alone[way]
        else:
            assert alone[way].startswith(one.sound)
            if isinstance(one.error, ConnectionClosedError):
                assert one.error.rcvd is not None
                assert one.error.rcvd.code == SERVICE_RESTART
    assert len(lost) < len(replies), "the other replica's streams ended, too"

    # The other replica responds; then a new one has replaced the lost one, and both serve.
    assert _post(cluster, "Hello.").error is None
    _until(lambda: len(cluster.processes()) == 2)
    found: set[str] = set()
    _until(lambda: len(found.add(cluster.replica()) or found) == 2)
    assert {one.replica for one in lost}.isdisjoint(found)
    assert time.monotonic() - killed_at < PATIENCE_S


def test_shutdown_lets_replies_finish(cluster: Cluster, alone: dict[str, bytes]) -> None:
    begun = threading.Barrier(3, timeout=60)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        requests = [pool.submit(way, cluster, TEXT, begun.wait) for way in (_post, _socket)]
        begun.wait()
        cluster.process.terminate()
        time.sleep(1.0)
        late = httpx.get(f"{cluster.url}/v1/models")
        assert late.status_code == 503
        assert late.json()["error"]["type"] == "server_error"
        assert int(late.headers["retry-after"]) >= 1
        replies = [one.result(timeout=60) for one in requests]
    assert [one.error for one in replies] == [None, None]
    assert [one.sound for one in replies] == [alone["http"], alone["socket"]]
    assert cluster.process.wait(PATIENCE_S) == 0
    assert not cluster.processes()
