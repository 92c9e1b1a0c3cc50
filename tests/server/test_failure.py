"""A failed engine is reported by /ready and in the log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from causerie.errors import TextError
from causerie.server.app import create_app
from causerie.server.metrics import Metrics
from causerie.server.models import Models
from causerie.server.service import SpeechService
from causerie.server.settings import Settings
from causerie.server.voices.store import open_store
from causerie.tts import TTS
from tests import tiny


@pytest.fixture
def tts() -> Iterator[TTS]:
    made = TTS(tiny.checkpoint(), max_streams=2)
    yield made
    asyncio.run(made.aclose(drain=False))


def test_ready_answers_503_after_the_engine_failed(
    tts: TTS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def task() -> None:
        app = create_app(Settings(voices=str(tmp_path)), tts=tts)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            assert (await client.get("/ready")).status_code == 200
            assert tts.failure is None

            def fail(*_: Any) -> Any:
                raise ZeroDivisionError("made up")

            monkeypatch.setattr(tts.engine._scheduler, "plan", fail)
            speech = {"input": "Hello.", "max_duration_s": 0.2}
            assert (await client.post("/v1/audio/speech", json=speech)).status_code == 500
            assert isinstance(tts.failure, ZeroDivisionError)
            ready = await client.get("/ready")
            assert ready.status_code == 503
            assert ready.json()["status"] == "failed"
            assert (await client.post("/v1/audio/speech", json=speech)).status_code == 500
            assert (await client.get("/health")).status_code == 200

    asyncio.run(task())


def test_only_internal_errors_are_logged(
    tts: TTS, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(voices=str(tmp_path))
    service = SpeechService(Models(tts, settings), open_store(tmp_path, tts), settings, Metrics())
    assert service.report(TextError("nothing to speak")).status == 400
    assert caplog.records == []
    assert service.report(ZeroDivisionError("made up")).status == 500
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "made up" in caplog.text
