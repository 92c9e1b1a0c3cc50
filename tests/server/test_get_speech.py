"""Speech by GET, for players that only know an address."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from causerie.audio.io import pcm16
from tests.server.running import Running, petit, running

PATH = "/v1/audio/speech"
HELLO = {"input": "Hello.", "voice": "theo", "seed": "1"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("voices"), allow_get=True) as here:
        yield here


@pytest.fixture(scope="module")
def expected() -> bytes:
    return pcm16(petit().generate("Hello.", voice="theo", seed=1).samples).tobytes()


def get(server: Running, path: str = PATH, headers: dict | None = None, **query: str):
    return httpx.get(server.http + path, params={**HELLO, **query}, headers=headers)


def test_it_is_off_by_default(tmp_path: Path) -> None:
    with running(tmp_path, api_key=("right",)) as server:
        key = {"authorization": "Bearer right"}
        assert get(server, headers=key).status_code == 405
        assert get(server, f"{PATH}.wav", headers=key).status_code == 404
        assert get(server, api_key="right").status_code == 401


def test_the_query_has_the_fields(server: Running, expected: bytes) -> None:
    assert get(server, response_format="pcm").content == expected
    assert get(server, response_format="pcm", speed="1.0", verify="false").content == expected
    text = httpx.get(
        server.http + PATH,
        params={"text": "Hello.", "voice": "theo", "seed": 1, "response_format": "pcm"},
    )
    assert text.content == expected
    answer = get(server, odd="1")
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["x-ignored-params"] == "odd"
    assert get(server, input="...").status_code == 200


def test_an_ending_is_the_format(server: Running, expected: bytes) -> None:
    answer = get(server, f"{PATH}.wav", stream="false")
    with wave.open(io.BytesIO(answer.content)) as file:
        assert file.readframes(1 << 20) == expected
    telephone = get(server, f"{PATH}.wav", stream="false", sample_rate="8000")
    with wave.open(io.BytesIO(telephone.content)) as file:
        assert file.getframerate() == 8000
        assert file.getnframes() == pytest.approx(len(expected) / 6, abs=8)
    ulaw = get(server, f"{PATH}.ulaw")
    assert ulaw.headers["content-type"].startswith("audio/pcmu")
    assert len(ulaw.content) == pytest.approx(len(expected) / 6, abs=8)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"speed": "9"}, "speed"),
        ({"speed": "fast"}, "speed"),
        ({"response_format": "midi"}, "response_format"),
        ({"voice": "nobody"}, "voice"),
        ({"sample_rate": "0"}, "sample_rate"),
    ],
)
def test_errors(server: Running, query: dict[str, str], param: str) -> None:
    answer = get(server, **query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert httpx.get(server.http + PATH).json()["error"]["param"] == "input"
    assert get(server, f"{PATH}.midi").status_code == 400
    assert get(server, response_format="mp3", sample_rate="12345").status_code == 400


def test_head_speaks_nothing(server: Running) -> None:
    before = server.tts.engine.stats().num_frames
    answer = httpx.head(server.http + PATH, params=HELLO)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/mpeg")
    assert httpx.head(server.http + PATH).status_code == 400
    assert server.tts.engine.stats().num_frames == before


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site", "referer": "http://127.0.0.1:3000/"}, 403),
        ({"sec-fetch-site": "cross-site", "referer": "https://evil.example/page"}, 403),
        ({"sec-fetch-site": "cross-site", "referer": "https://good.example/page"}, 200),
        ({"origin": "https://evil.example"}, 403),
    ],
)
def test_sounds_of_foreign_pages_are_refused(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    with running(tmp_path, allow_get=True, cors=("https://good.example",)) as server:
        assert get(server, headers=headers, input="...").status_code == status


def test_the_key_may_be_in_the_query(tmp_path: Path) -> None:
    with running(tmp_path, allow_get=True, api_key=("right",)) as server:
        page = {"sec-fetch-site": "cross-site", "referer": "https://any.example/"}
        answer = get(server, api_key="right", input="...", headers=page)
        assert answer.status_code == 200
        assert "x-ignored-params" not in answer.headers
        assert get(server, api_key="wrong").status_code == 401
        assert get(server).status_code == 401
        assert httpx.get(f"{server.http}/metrics?api_key=right").status_code == 401
        assert httpx.post(f"{server.http}{PATH}?api_key=right", json={}).status_code == 401
