"""Replies that wait too long for their first sound, and those that go on with what is heard."""

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
from tests.server.running import PATIENCE_S, Running, receive, running, send

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
    """A server whose only stream is taken, by a reply that does not end."""
    tts = TTS(tiny.checkpoint(), max_streams=1)
    step = tts.engine.step

    def slowly() -> None:
        time.sleep(0.1)
        step()

    monkeypatch.setattr(tts.engine, "step", slowly)
    with running(tmp_path, tts, deadline_s=DEADLINE_S) as here:
        url, asked = f"{here.http}/v1/audio/speech", {"input": "Hello.", "response_format": "pcm"}
        with httpx.stream("POST", url, json=asked, timeout=PATIENCE_S) as answer:
            assert answer.status_code == 200
            pieces = answer.iter_raw()  # which hangs up once nobody holds it
            next(pieces)
            yield here
        here.wait_for(lambda: here.is_silent)
        assert httpx.post(url, json={**asked, "max_duration_s": 0.2}).status_code == 200
    asyncio.run(tts.aclose(drain=False))


def post(server: Running, path: str, **body: Any) -> httpx.Response:
    return httpx.post(server.http + path, json=body, timeout=PATIENCE_S)


def test_who_waits_too_long_is_told_when_to_come_again(busy: Running) -> None:
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
        assert "0.3 s to the first sound" in error["message"]
        assert answer.elapsed.total_seconds() > DEADLINE_S
        assert int(answer.headers["retry-after"]) >= 1
        assert int(answer.headers["retry-after-ms"]) > 0
    client = openai.OpenAI(base_url=f"{busy.http}/v1", api_key="-", max_retries=0)
    with client, pytest.raises(openai.InternalServerError, match="waited for a stream"):
        client.audio.speech.create(model="tts-1", voice="alloy", input="Hello.")
    with busy.connect("/v1/text-to-speech/0/stream-input") as socket:
        send(socket, text="Hello. ", flush=True)
        told = receive(socket)
        assert (told["error"], told["code"]) == ("overloaded", 1013)


def test_who_has_begun_has_no_deadline_and_is_not_refused(server: Running) -> None:
    """The turns of a dialogue are requests of their own, but for its listener they are one."""
    script = "heart: Hello there.\ntheo: Hello to you.\n" * 3
    url = f"{server.http}/v1/audio/dialogue"
    asked = {"input": script, "response_format": "pcm", "seed": 1}
    alone = httpx.post(url, json=asked, timeout=PATIENCE_S).content
    with httpx.stream("POST", url, json=asked, timeout=PATIENCE_S) as answer:
        assert answer.status_code == 200
        pieces = answer.iter_raw()
        heard = next(pieces)
        waiting = [threading.Thread(target=post, args=(server, "/v1/audio/speech"),
                                    kwargs={"input": LONG * 2}) for _ in range(4)]  # fmt: skip
        for thread in waiting:
            thread.start()
        heard += b"".join(pieces)
    for thread in waiting:
        thread.join()
    assert heard == alone


def test_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load().deadline_s is None
    file = tmp_path / "server.toml"
    file.write_text("deadline_s = 3.5\n")
    assert Settings.load(file).deadline_s == 3.5
    monkeypatch.setenv("CAUSERIE_DEADLINE_S", "2")
    assert Settings.load(file).deadline_s == 2
    assert Settings.load(file, deadline_s=1.0).deadline_s == 1
    with pytest.raises(ConfigError, match="deadline_s"):
        Settings.load(deadline_s=0.0)
