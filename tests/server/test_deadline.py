"""The deadline of a reply's first audio, which replies that continue another do not have."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from causerie.errors import ConfigError
from causerie.server.settings import Settings
from causerie.tts import TTS
from tests import tiny
from tests.patience import PATIENCE_S
from tests.server.running import Running, receive, running, send

LONG = "We go down to the river, and we cross the bridge as long as it stands. " * 3
DEADLINE_S = 0.3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    tts = TTS.from_pretrained("petit", max_streams=1, max_queue=1)
    with running(tmp_path_factory.mktemp("voices"), tts, deadline_s=DEADLINE_S) as here:
        yield here
    asyncio.run(tts.aclose(drain=False))


@pytest.fixture
def busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server whose only slot is taken by a reply that does not end."""
    tts = TTS(tiny.checkpoint(), max_streams=1)
    step = tts.engine.step

    def slowly() -> None:
        time.sleep(0.1)
        step()

    monkeypatch.setattr(tts.engine, "step", slowly)
    with running(tmp_path, tts, deadline_s=DEADLINE_S) as here:
        url, body = f"{here.http}/v1/audio/speech", {"input": "Hello.", "response_format": "pcm"}
        with httpx.stream("POST", url, json=body, timeout=PATIENCE_S) as answer:
            assert answer.status_code == 200
            pieces = answer.iter_raw()  # disconnects when it is garbage-collected
            next(pieces)
            yield here
        here.wait_for(lambda: here.is_idle)
        assert httpx.post(url, json={**body, "max_duration_s": 0.2}).status_code == 200
    asyncio.run(tts.aclose(drain=False))


def post(server: Running, path: str, **body: Any) -> httpx.Response:
    return httpx.post(server.http + path, json=body, timeout=PATIENCE_S)


def test_a_late_reply_is_refused_with_retry_after(busy: Running) -> None:
    for path, body in (
        ("/v1/audio/speech", {"input": "Hello."}),
        ("/v1/audio/speech", {"input": "Hello.", "stream_format": "sse"}),
        ("/v1/audio/speech", {"input": "Hello.", "stream": False}),
        ("/v1/audio/dialogue", {"input": "0: Hello."}),
        ("/v1/text-to-speech/0/stream/with-timestamps", {"text": "Hello."}),
    ):
        answer = post(busy, path, **body)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (503, "overloaded")
        assert error["type"] == "server_error"
        assert "0.3 s to the first audio" in error["message"]
        assert answer.elapsed.total_seconds() > DEADLINE_S
        assert int(answer.headers["retry-after"]) >= 1
        assert int(answer.headers["retry-after-ms"]) > 0
    client = openai.OpenAI(base_url=f"{busy.http}/v1", api_key="-", max_retries=0)
    with client, pytest.raises(openai.InternalServerError, match="waited for a stream"):
        client.audio.speech.create(model="tts-1", voice="alloy", input="Hello.")
    with busy.connect("/v1/text-to-speech/0/stream-input") as socket:
        send(socket, text="Hello. ", flush=True)
        error = receive(socket)
        assert (error["error"], error["code"]) == ("overloaded", 1013)


@pytest.mark.slow
def test_later_turns_of_a_dialogue_have_no_deadline_and_are_not_refused(server: Running) -> None:
    """The turns of a dialogue are several requests to the engine, but one reply to the listener."""
    script = "heart: Hello there.\ntheo: Hello to you.\n" * 3
    url = f"{server.http}/v1/audio/dialogue"
    body = {"input": script, "response_format": "pcm", "seed": 1}
    alone = httpx.post(url, json=body, timeout=PATIENCE_S).content
    with httpx.stream("POST", url, json=body, timeout=PATIENCE_S) as answer:
        assert answer.status_code == 200
        pieces = answer.iter_raw()
        received = next(pieces)
        waiting = [threading.Thread(target=post, args=(server, "/v1/audio/speech"),
                                    kwargs={"input": LONG * 2}) for _ in range(4)]  # fmt: skip
        for thread in waiting:
            thread.start()
        received += b"".join(pieces)
    for thread in waiting:
        thread.join()
    assert received == alone


def test_deadline_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load().deadline_s is None
    file = tmp_path / "server.toml"
    file.write_text("deadline_s = 3.5\n")
    assert Settings.load(file).deadline_s == 3.5
    monkeypatch.setenv("CAUSERIE_DEADLINE_S", "2")
    assert Settings.load(file).deadline_s == 2
    assert Settings.load(file, deadline_s=1.0).deadline_s == 1
    with pytest.raises(ConfigError, match="deadline_s"):
        Settings.load(deadline_s=0.0)
