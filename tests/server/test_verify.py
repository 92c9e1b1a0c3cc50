"""Verification as a setting of the server and as a field of requests."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from causerie.audio.io import pcm16
from causerie.reply import turns
from causerie.server.sockets import Feed
from causerie.tts import TTS
from tests import tiny
from tests.patience import PATIENCE_S
from tests.server.running import Running, running

RIGHT, WRONG = "One fish swims here.", "One fish"


class Ears:
    """Hears every second time that most words are missing, and may wait."""

    def __init__(self) -> None:
        self.count = 0
        self.may_go, self.is_busy = threading.Event(), threading.Event()
        self.may_go.set()

    def __call__(self, samples: np.ndarray) -> str:
        self.is_busy.set()
        assert self.may_go.wait(PATIENCE_S)
        self.count += 1
        return WRONG if self.count % 2 else RIGHT


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> Ears:
    monkeypatch.setattr(turns, "MAX_DURATION_S", 0.24)  # a tiny random model never ends by itself
    return Ears()


@pytest.fixture
def server(ears: Ears, tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path, TTS(tiny.checkpoint(), recognizer=ears, max_streams=2)) as here:
        yield here


def post(server: Running, **body: Any) -> httpx.Response:
    wanted = {"input": RIGHT, "voice": "0", "seed": 1, "response_format": "pcm", **body}
    return httpx.post(f"{server.http}/v1/audio/speech", json=wanted, timeout=PATIENCE_S)


def count(server: Running, name: str) -> float:
    lines = httpx.get(f"{server.http}/metrics").text.splitlines()
    (line,) = [line for line in lines if line.startswith(name + " ")]
    return float(line.split()[1])


def test_a_request_is_verified_if_it_says_so(server: Running, ears: Ears) -> None:
    plain = post(server, stream=False).content
    assert ears.count == 0
    assert post(server, verify=True).content == plain  # one piece, which a stream does not hold
    assert ears.count == 0
    checked = post(server, verify=True, stream=False).content
    assert ears.count == 2
    assert checked != plain
    expected = server.tts.generate(RIGHT, voice=0, seed=1, verify=True)
    assert checked == pcm16(expected.samples).tobytes()
    assert count(server, "causerie_verify_attempts_total") == 2
    assert count(server, 'causerie_verified_total{outcome="corrected"}') == 1
    assert count(server, 'causerie_verified_total{outcome="wrong"}') == 0
    batch = {"items": [{"input": RIGHT, "voice": "0"}], "seed": 1, "verify": True}
    assert httpx.post(f"{server.http}/v1/audio/speech/batch", json=batch).status_code == 200
    assert count(server, "causerie_verify_attempts_total") == 4
    assert post(server, verify="maybe").status_code == 400


def test_a_stream_tells_of_wrong_recordings_in_its_last_event(server: Running, ears: Ears) -> None:
    file = io.BytesIO()
    hum = 0.3 * np.sin(0.1 * np.arange(2 * 24_000))
    soundfile.write(file, hum, 24_000, format="WAV")
    turn = {"text": "The house is white.", "audio": base64.b64encode(file.getvalue()).decode()}
    options = {"context": [turn], "consent_attested": True, "verify": True}

    def has_note(notes: str | list[str]) -> bool:
        return "says other words than its transcript" in str(notes)

    ears.may_go.clear()
    body = {"input": RIGHT, "voice": "0", "response_format": "pcm", "stream_format": "sse"}
    url = f"{server.http}/v1/audio/speech"
    with httpx.stream("POST", url, json={**body, **options}, timeout=PATIENCE_S) as answer:
        lines = (line for line in answer.iter_lines() if line.startswith("data: "))
        events = [json.loads(next(lines)[6:])]  # before the recognizer hears anything
        ears.may_go.set()
        events += [json.loads(line[6:]) for line in lines]
    assert not has_note(answer.headers.get("x-notes", ""))
    assert events[0]["type"] == "speech.audio.delta"
    assert events[-1]["type"] == "speech.audio.done"
    assert has_note(events[-1]["notes"])
    assert ears.count == 1
    for body in {"stream": False}, {"response_format": "flac"}:  # which come when all is there
        assert has_note(post(server, **options, **body).headers["x-notes"])


def test_the_setting_is_for_all_requests(ears: Ears, tmp_path: Path) -> None:
    tts = TTS(tiny.checkpoint(), recognizer=ears, max_streams=2)
    with running(tmp_path, tts, verify=True) as server:
        before = ears.count  # of the warm-up
        assert before > 0
        post(server, stream=False)
        assert ears.count > before
        before = ears.count
        post(server, stream=False, verify=False)
        assert ears.count == before


def test_a_client_that_disconnects_meanwhile_frees_its_slot(server: Running, ears: Ears) -> None:
    ears.may_go.clear()
    body = json.dumps({"input": RIGHT, "voice": "0", "verify": True, "stream": False})
    head = f"POST /v1/audio/speech HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall((head + body).encode())
        assert ears.is_busy.wait(PATIENCE_S)
    assert post(server).status_code == 200  # neither the event loop nor the engine waits
    server.wait_for(lambda: server.num_active == 0)
    ears.may_go.set()
    server.wait_for(lambda: server.is_idle)
    assert ears.count <= 1


def test_text_that_is_read_ahead_is_not_taken_for_spoken(ears: Ears) -> None:
    """A reply reads the next text while it is heard, but `on_wait` waits for the listener."""

    async def main() -> None:
        tts = TTS(tiny.checkpoint(max_frames=1024), recognizer=ears)
        feed, waits = Feed(1_000), list[int]()

        async def on_wait() -> None:
            waits.append(num_samples)

        feed.add(RIGHT)
        feed.flush()
        reply = await tts.astream(feed, seed=1, verify=True)
        feed.on_wait, feed.wait_spoken = on_wait, reply.spoken
        num_samples = len(await anext(reply))
        await asyncio.sleep(0.3)
        assert waits == []
        assert not feed.is_idle
        rest = asyncio.ensure_future(anext(reply))
        while not waits:
            if rest.done():
                num_samples += len(rest.result())
                rest = asyncio.ensure_future(anext(reply))
            await asyncio.sleep(0.01)
        assert waits == [3 * 1920]
        assert feed.is_idle
        feed.add(RIGHT)
        feed.end()
        num_samples += len(await rest) + sum([len(pcm) async for pcm in reply])
        assert num_samples == 6 * 1920
        assert ears.count == 2
        await tts.aclose()

    asyncio.run(asyncio.wait_for(main(), PATIENCE_S))
