"""What the page is told of conversations: `GET /v1/realtime`."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

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
