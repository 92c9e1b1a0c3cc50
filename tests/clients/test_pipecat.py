"""pipecat's services for OpenAI and ElevenLabs with our server, and our own service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TextFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSUpdateSettingsFrame,
)
from pipecat.services.elevenlabs.tts import ElevenLabsTTSService
from pipecat.services.openai.tts import OpenAITTSService
from pipecat.services.tts_service import TTSService
from pipecat.tests.utils import SleepFrame, run_test

from causerie.integrations.pipecat import CauserieTTSService
from causerie.tts import TTS
from tests.clients.conftest import TEXT
from tests.server.process import Served

Make = Callable[[Served], TTSService]
MAKERS: dict[str, Make] = {
    "openai": lambda server: OpenAITTSService(
        api_key="-", base_url=f"{server.url}/v1", settings=OpenAITTSService.Settings(voice="alloy")
    ),
    "elevenlabs": lambda server: ElevenLabsTTSService(
        api_key="-",
        url=server.url.replace("http", "ws"),
        settings=ElevenLabsTTSService.Settings(voice="heart"),
    ),
    "ours, with a server": lambda server: CauserieTTSService(base_url=server.url),
    "ours, in this process": lambda server: CauserieTTSService(tts=TTS.from_pretrained()),
}


def words(text: str) -> list[Frame]:
    """The frames of a language model that writes this text."""
    parts = [TextFrame(text=f"{word} ") for word in text.split()]
    return [LLMFullResponseStartFrame(), *parts, LLMFullResponseEndFrame(), SleepFrame(sleep=8.0)]


def spoken(service: TTSService, frames: Sequence[Frame]) -> list[Frame]:
    down, up = asyncio.run(run_test(service, frames_to_send=list(frames)))
    assert not [frame for frame in up if isinstance(frame, ErrorFrame)]
    return list(down)


def audio_of(frames: Sequence[Frame]) -> bytes:
    return b"".join(frame.audio for frame in frames if isinstance(frame, TTSAudioRawFrame))


@pytest.mark.parametrize("name", MAKERS)
def test_a_reply_is_spoken(name: str, server: Served, hears: Callable[..., None]) -> None:
    down = spoken(MAKERS[name](server), words(TEXT))
    audio = [frame for frame in down if isinstance(frame, TTSAudioRawFrame)]
    assert audio
    assert any(isinstance(frame, TTSStartedFrame) for frame in down)
    assert any(isinstance(frame, TTSStoppedFrame) for frame in down)
    hears(b"".join(frame.audio for frame in audio), rate=audio[0].sample_rate)


@pytest.mark.parametrize("is_local", [True, False])
def test_speed(is_local: bool, server: Served) -> None:
    sizes = []
    for speed in (1.0, 2.0):
        service = CauserieTTSService(
            tts=TTS.from_pretrained() if is_local else None,
            base_url=None if is_local else server.url,
            settings=CauserieTTSService.Settings(seed=1, speed=speed),
        )
        sizes.append(len(audio_of(spoken(service, words(TEXT)))))
    assert 0.4 < sizes[1] / sizes[0] < 0.6


def test_the_voice_changes_while_the_pipeline_runs(server: Served) -> None:
    def speech(*frames: Frame) -> bytes:
        settings = CauserieTTSService.Settings(seed=1)
        service = CauserieTTSService(base_url=server.url, settings=settings)
        return audio_of(spoken(service, [*frames, *words("Hello there.")]))

    change = TTSUpdateSettingsFrame(delta=CauserieTTSService.Settings(voice="theo"))
    assert speech() == speech()
    assert speech(change) != speech()


def test_an_unknown_voice_gives_an_error_frame(server: Served) -> None:
    settings = CauserieTTSService.Settings(voice="nobody")
    service = CauserieTTSService(base_url=server.url, settings=settings)
    _, up = asyncio.run(run_test(service, frames_to_send=words("Hello.")))
    (error,) = [frame for frame in up if isinstance(frame, ErrorFrame)]
    assert "nobody" in error.error
