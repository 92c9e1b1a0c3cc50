"""/ready answers 503 until the graphs of the model are recorded: no request pays for one."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from causerie.engine.runner import Preparation
from causerie.server import app as app_module
from causerie.server.app import create_app
from causerie.server.settings import Settings
from causerie.tts import TTS
from tests import tiny
from tests.patience import PATIENCE_S


def test_the_model_is_prepared_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tts, may_end, done = TTS(tiny.checkpoint(), max_streams=2), threading.Event(), list[str]()

    def slow() -> None:
        may_end.wait(PATIENCE_S)
        done.append("slow")

    runner = tts.engine.runner
    pieces = [Preparation("batches of 2", slow), Preparation("batches of 2", lambda: None)]
    monkeypatch.setattr(runner, "preparations", lambda: pieces)
    tts.engine._preparing = None  # as if the engine were new
    monkeypatch.setattr(app_module, "load_tts", lambda _: tts)
    with TestClient(create_app(Settings(voices=str(tmp_path), model="tiny"))) as client:
        time.sleep(0.3)
        answer = client.get("/ready")
        assert (answer.status_code, answer.json()["status"]) == (503, "loading")
        assert client.get("/health").status_code == 200  # it answers meanwhile
        may_end.set()
        end = time.monotonic() + PATIENCE_S
        while client.get("/ready").status_code != 200:
            assert time.monotonic() < end
            time.sleep(0.02)
        assert done == ["slow"]
        assert not len(tts.engine.preparing)
