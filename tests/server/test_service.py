"""The service without a network: what it counts, and which model it uses."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from causerie.reply.async_stream import AsyncStream
from causerie.server.errors import ApiError
from causerie.server.metrics import Metrics
from causerie.server.models import Models
from causerie.server.service import SpeechService
from causerie.server.settings import Settings
from causerie.server.texts import CheckedText
from causerie.server.voices.store import open_store
from causerie.tts import TTS
from tests import tiny

LIMIT_S = 0.3
HELLO = CheckedText("Hello there.")
OTHER = "other"  # the name of a model in the folder


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / OTHER).symlink_to(tiny_folder)
    return folder


def run(folder: Path, task: Callable[[SpeechService], Awaitable[None]]) -> None:
    async def main() -> None:
        tts = TTS(tiny.checkpoint(), max_streams=2)
        settings = Settings(models=str(folder), voices=str(folder.parent / "voices"), device="cpu")
        store = open_store(settings.voices, tts)
        service = SpeechService(Models(tts, settings), store, settings, Metrics())
        try:
            await task(service)
        finally:
            await service.aclose()

    asyncio.run(asyncio.wait_for(main(), 60))


def counted(service: SpeechService) -> dict[str, int]:
    """The number of replies by their outcome."""
    (metric,) = service.metrics.replies.collect()
    return {
        sample.labels["ended"]: int(sample.value)
        for sample in metric.samples
        if sample.name.endswith("_total")
    }


async def listen(reply: AsyncStream) -> None:
    async for _ in reply:
        pass


def test_each_reply_is_counted_once_and_gives_its_model_back(folder: Path) -> None:
    async def failing() -> AsyncIterator[str]:
        yield "Hello "
        raise RuntimeError("the client's language model is gone")

    async def waiting() -> AsyncIterator[str]:
        await asyncio.Event().wait()
        yield "never"

    async def task(service: SpeechService) -> None:
        def users() -> int:
            return service.models._models[OTHER].num_users

        # To its end; closing it then changes nothing.
        reply = await service.speak(HELLO, model=OTHER, max_duration_s=LIMIT_S, protocol="test")
        assert (service.metrics.num_active, users()) == (1, 1)
        samples = sum([len(piece) async for piece in reply])
        await reply.aclose()
        assert (service.metrics.num_active, users()) == (0, 0)
        assert counted(service) == {"limit": 1}
        assert service.metrics.speech_s._value.get() == pytest.approx(samples / reply.sample_rate)

        # Closed by its listener, twice.
        reply = await service.speak(HELLO, model=OTHER, protocol="test")
        await anext(reply)
        await reply.aclose()
        await reply.aclose()
        assert (service.metrics.num_active, users()) == (0, 0)
        assert counted(service) == {"limit": 1, "cancelled": 1}

        # Its task is cancelled before there is text, so that no sound can come first.
        reply = await service.speak(waiting(), model=OTHER, protocol="test")
        listener = asyncio.create_task(listen(reply))
        await asyncio.sleep(0)
        listener.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listener
        assert (service.metrics.num_active, users()) == (0, 0)
        assert counted(service) == {"limit": 1, "cancelled": 2}

        # Its text fails.
        reply = await service.speak(failing(), model=OTHER, protocol="test")
        with pytest.raises(RuntimeError, match="is gone"):
            await listen(reply)
        assert (service.metrics.num_active, users()) == (0, 0)
        assert counted(service) == {"limit": 1, "cancelled": 2, "error": 1}

        # Dropped without being closed.
        reply = await service.speak(HELLO, model=OTHER, protocol="test")
        await anext(reply)
        assert (service.metrics.num_active, users()) == (1, 1)
        del reply, listener
        gc.collect()
        assert (service.metrics.num_active, users()) == (0, 0)
        assert counted(service) == {"limit": 1, "cancelled": 3, "error": 1}

        # Refused: it was never active.
        with pytest.raises(ValueError, match="max_duration_s"):
            await service.speak(HELLO, model=OTHER, max_duration_s=-1, protocol="test")
        assert (service.metrics.num_active, users()) == (0, 0)
        assert sum(counted(service).values()) == 5
        (first_sound,) = service.metrics.first_sound_s.collect()
        counts = [one.value for one in first_sound.samples if one.name.endswith("_count")]
        assert counts == [3], "the cancelled and the failed one had no sound"

    run(folder, task)


def test_a_model_that_broke_down_while_it_was_taken_is_loaded_again(folder: Path) -> None:
    """It must not be replaced by the first model."""

    async def task(service: SpeechService) -> None:
        models = service.models
        (await models.take(OTHER)).give_back()
        broken = models._models[OTHER]
        assert broken.tts is not None
        names: list[str] = []

        async def on_use(name: str) -> None:
            names.append(name)
            if len(names) == 1:  # as if another request had found it broken
                await models._unload(models._models.pop(OTHER))

        models.on_use = on_use
        reply = await service.speak(HELLO, model=OTHER, max_duration_s=LIMIT_S, protocol="test")
        assert names == [OTHER, OTHER]
        assert broken.num_users == 0
        again = models._models[OTHER]
        assert again is not broken
        assert again.num_users == 1
        assert again.tts is not None
        assert reply._source is not None
        assert reply._source[0].engine is again.tts.engine
        await reply.aclose()

    run(folder, task)


def test_a_voice_whose_model_was_removed_is_an_error(folder: Path) -> None:
    """It must not be spoken by the first model."""

    async def task(service: SpeechService) -> None:
        voice = service.voice(OTHER)
        (folder / OTHER).unlink()
        service.models._folder._listed = (-10.0, {})
        with pytest.raises(ApiError, match=f"there is no model '{OTHER}'") as caught:
            await service.speak(HELLO, voice=voice, protocol="test")
        assert (caught.value.status, caught.value.code) == (404, "model_not_found")
        assert service.metrics.num_active == 0

    run(folder, task)
