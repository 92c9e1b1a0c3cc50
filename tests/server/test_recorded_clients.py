"""Requests of programs that are too heavy to run here, after their sources.

Each recipe of docs/clients.md has its requests here, or is run elsewhere, see `ELSEWHERE`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import httpx
import pytest

from tests.server.running import Running, running

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
#: Recipes whose clients, or own code, run in other tests.
ELSEWHERE = {
    "LiveKit": "tests/clients/test_livekit.py",
    "pipecat": "tests/clients/test_pipecat.py",
    "Conversations": "tests/clients/test_docs.py",
    "From Docker": "tests/server/test_access.py",
    "From a browser": "tests/server/test_access.py",
}
TEXT = "Hello there."


def is_audio(kind: str) -> Callable[[httpx.Response], bool]:
    def check(answer: httpx.Response) -> bool:
        with av.open(io.BytesIO(answer.content)) as file:
            seconds = sum(frame.samples / frame.sample_rate for frame in file.decode(audio=0))
        return answer.headers["content-type"] == kind and 0.3 < seconds < 5

    return check


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A request.

    Attributes:
        recipe: heading of docs/clients.md.
        source: the code that sends it, or the documentation that it is written after.
        key: where the key is: "bearer", "xi-api-key", or "" for a request without one.
        check: whether the client understands the answer.
    """

    recipe: str
    source: str
    method: str = "POST"
    path: str = "/v1/audio/speech"
    headers: dict[str, str] = field(default_factory=dict)
    json: Any = None
    key: str = "bearer"
    check: Callable[[httpx.Response], bool]


#: A commit, or a release.
VERSION = r" at [0-9a-f]{7}\b| [0-9]+\.[0-9]+$"
OPEN_WEBUI = "open-webui/open-webui backend/open_webui/routers/audio.py at 6adde20"
LIBRECHAT = "danny-avila/LibreChat api/server/services/Files/Audio/TTSService.js at 6aa8eff"
READ_ALOUD = "ken107/read-aloud js/tts-engines.js at 7f2764b, OpenaiTtsEngine"
ST = "SillyTavern/SillyTavern public/scripts/extensions/tts"
PARAMS = {
    "desired_length": 80, "max_length": 200, "halve_first_chunk": True, "exaggeration": 0.5,
    "cfg_weight": 0.5, "temperature": 0.8, "device": "auto", "dtype": "float32",
    "cpu_offload": False, "chunked": True, "cache_voice": False, "tokens_per_slice": 1000,
    "seed": -1,
}  # fmt: skip
MP3, WAV = is_audio("audio/mpeg"), is_audio("audio/wav")

RECORDED = [
    # response.json().get("models"), or in later versions data.get('data', data.get('models'))
    Recorded(
        recipe="Open WebUI", source=OPEN_WEBUI, method="GET", path="/v1/audio/models", key="",
        check=lambda answer: "petit" in [one["id"] for one in answer.json()["models"]],
    ),
    Recorded(
        recipe="Open WebUI", source="open-webui/open-webui, its routers/audio.py of 0.12",
        method="GET", path="/v1/models", key="",
        check=lambda answer: "petit" in [one["id"] for one in answer.json()["data"]],
    ),
    # {voice['id']: voice['name'] for voice in voices_list}
    Recorded(
        recipe="Open WebUI", source=OPEN_WEBUI, method="GET", path="/v1/audio/voices", key="",
        check=lambda answer: "heart" in {v["id"]: v["name"] for v in answer.json()["voices"]},
    ),
    Recorded(
        recipe="Open WebUI", source=OPEN_WEBUI, check=MP3,
        json={"input": TEXT, "voice": "heart", "model": "petit"},
    ),
    # [{'name': model['name'], 'id': model['model_id']} for model in models]
    Recorded(
        recipe="Open WebUI", source=f"{OPEN_WEBUI}, engine elevenlabs", method="GET",
        path="/v1/models", key="xi-api-key", headers={"Content-Type": "application/json"},
        check=lambda answer: "petit" in {m["model_id"]: m["name"] for m in answer.json()},
    ),
    Recorded(
        recipe="Open WebUI", source=f"{OPEN_WEBUI}, engine elevenlabs", method="GET",
        path="/v1/voices", key="xi-api-key", headers={"Content-Type": "application/json"},
        check=lambda answer: "heart" in {v["voice_id"]: v["name"] for v in answer.json()["voices"]},
    ),
    Recorded(
        recipe="Open WebUI", source=f"{OPEN_WEBUI}, engine elevenlabs", check=MP3,
        path="/v1/text-to-speech/heart", key="xi-api-key",
        headers={"Accept": "audio/mpeg", "Content-Type": "application/json"},
        json={
            "text": TEXT, "model_id": "petit",
            "voice_settings": {"stability": 0.5, "similarity_boost": 0.5},
        },
    ),
    Recorded(
        recipe="SillyTavern", source=f"{ST}/openai-compatible.js at 414e28b",
        check=MP3,
        json={
            "input": TEXT, "response_format": "mp3", "voice": "heart", "speed": 1, "model": "petit",
        },
    ),
    Recorded(
        recipe="SillyTavern", source=f"{ST}/tts-webui.js at 2a184b2", method="GET", key="",
        path="/v1/audio/voices/chatterbox", headers={"Origin": "http://127.0.0.1:8000"},
        check=lambda answer: "heart" in [v["value"] for v in answer.json()["voices"] if v["label"]],
    ),
    Recorded(
        recipe="SillyTavern", source=f"{ST}/tts-webui.js at 2a184b2", check=WAV,
        headers={"Origin": "http://127.0.0.1:8000"},
        json={
            "model": "chatterbox", "voice": "heart", "input": TEXT, "response_format": "wav",
            "speed": 1, "stream": False, "params": PARAMS,
        },
    ),
    Recorded(
        recipe="Home Assistant", source="sfortis/openai_tts openaitts_engine.py at 0460cd2",
        check=WAV,
        json={
            "model": "tts-1", "input": TEXT, "voice": "shimmer", "response_format": "wav",
            "speed": 1,
        },
    ),
    # the check of the key, config_flow.py
    Recorded(
        recipe="Home Assistant", source="sfortis/openai_tts 3.7",
        json={"model": "tts-1", "input": ".", "voice": "shimmer"},
        check=lambda answer: answer.headers["content-type"] == "audio/mpeg",
    ),
    Recorded(
        recipe="Read Aloud", source=READ_ALOUD,
        method="GET", path="/v1/models", headers={"Origin": "chrome-extension://hdhinadidafjejdhm"},
        check=lambda answer: answer.status_code == 200,
    ),
    Recorded(
        recipe="Read Aloud", source=READ_ALOUD,
        check=MP3,
        headers={"Origin": "chrome-extension://hdhinadidafjejdhm"},
        json={"model": "tts-1", "input": TEXT, "voice": "alloy", "response_format": "mp3"},
    ),
    Recorded(
        recipe="AnythingLLM",
        source="Mintplex-Labs/anything-llm server/utils/TextToSpeech/openAiGeneric at 58f1bcf",
        check=MP3, json={"model": "petit", "voice": "heart", "input": TEXT},
    ),
    Recorded(
        recipe="LibreChat",
        source=f"{LIBRECHAT}, openAIProvider",
        check=MP3, json={"input": TEXT, "model": "petit", "voice": "heart"},
    ),
    Recorded(
        recipe="LibreChat",
        source=f"{LIBRECHAT}, localAIProvider",
        check=MP3, json={"input": TEXT, "model": "heart", "backend": "piper"},
    ),
    Recorded(
        recipe="n8n",
        source="n8n-io/n8n nodes-langchain OpenAi/actions/audio/generate.operation.ts at 4963831",
        check=MP3,
        json={
            "model": "tts-1", "input": TEXT, "voice": "alloy", "response_format": "mp3", "speed": 1,
        },
    ),
    Recorded(
        recipe="Asterisk and Twilio", source="Asterisk's documentation of Playback", method="GET",
        path="/v1/audio/speech.wav?input=Hello.&sample_rate=8000&stream=false&api_key=right",
        key="", headers={"User-Agent": "Asterisk"},
        check=lambda answer: answer.content[:4] == b"RIFF" and answer.content[24:26] == b"\x40\x1f",
    ),
    Recorded(
        recipe="Asterisk and Twilio", source="Twilio's documentation of <Play>", method="GET",
        key="", check=MP3,
        path="/v1/audio/speech.mp3?input=Hello.&voice=heart&api_key=right",
        headers={"User-Agent": "TwilioProxy/1.1"},
    ),
    Recorded(
        recipe="Behind nginx or Caddy", source="nginx, with the recipe's headers", check=MP3,
        headers={"Host": "tts.example.com", "X-Forwarded-Proto": "https"}, json={"input": TEXT},
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    """One without a key and one with."""
    cors, host = ("http://127.0.0.1:8000",), ("tts.example.com",)
    with (
        running(
            tmp_path_factory.mktemp("open"), allow_get=True, cors=cors, allowed_host=host
        ) as first,
        running(tmp_path_factory.mktemp("locked"), allow_get=True, api_key=("right",)) as second,
    ):
        yield [first, second]


@pytest.mark.parametrize("one", RECORDED, ids=lambda one: f"{one.recipe}-{urlsplit(one.path).path}")
def test_the_recorded_request_is_answered(servers: list[Running], one: Recorded) -> None:
    key = {"bearer": {"Authorization": "Bearer right"}, "xi-api-key": {"xi-api-key": "right"}}
    for server in servers:
        answer = httpx.request(
            one.method,
            server.http + one.path,
            headers={**one.headers, **key.get(one.key, {})},
            json=one.json,
        )
        assert answer.status_code == 200, answer.text
        assert one.check(answer), answer.text[:500]


def test_no_proxy_collects_a_stream(servers: list[Running]) -> None:
    answer = httpx.post(f"{servers[0].http}/v1/audio/speech", json={"input": TEXT})
    assert answer.headers["x-accel-buffering"] == "no"


def test_every_source_has_a_version() -> None:
    unversioned = [one.source for one in RECORDED if not re.search(VERSION, one.source)]
    assert all("documentation" in source or "nginx" in source for source in unversioned)


def test_every_recipe_is_tested() -> None:
    recipes = re.findall(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {one.recipe for one in RECORDED} | {*ELSEWHERE} == {*recipes}
    for file in ELSEWHERE.values():
        assert (Path(__file__).parents[2] / file).is_file()


def test_the_recipes_name_what_is_requested() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for line in ("/v1/audio/speech.wav?input=Hello.&sample_rate=8000&stream=false&api_key=KEY",
                 "/v1/audio/speech.mp3?input=Hello.&amp;voice=heart&amp;api_key=KEY"):  # fmt: skip
        assert line in text
        path = line.replace("&amp;", "&").replace("KEY", "right")
        assert path in [one.path for one in RECORDED]
