"""LiveKit's plugins for OpenAI and ElevenLabs with our server, and our own plugin."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable

import pytest
from livekit.agents import APIStatusError, tts
from livekit.agents.utils import http_context
from livekit.plugins import elevenlabs, openai

from causerie.integrations.livekit import TTS
from tests.clients.conftest import TEXT
from tests.server.process import Served

Make = Callable[[Served], tts.TTS]
MAKERS: dict[str, Make] = {
    "openai": lambda server: openai.TTS(
        base_url=f"{server.url}/v1", api_key="-", voice="alloy", response_format="mp3"
    ),
    "elevenlabs": lambda server: elevenlabs.TTS(
        base_url=f"{server.url}/v1", api_key="-", voice_id="heart"
    ),
    "ours, with a server": lambda server: TTS(base_url=server.url),
    "ours, in this process": lambda server: TTS(),
}


def spoken(server: Served, make: Make, mode: str) -> tuple[bytes, int]:
    """The samples of `TEXT`, and their rate."""

    async def main() -> tuple[bytes, int]:
        async with http_context.open():
            plugin = make(server)
            adapted = tts.StreamAdapter(tts=plugin) if mode == "adapter" else plugin
            stream = adapted.synthesize(TEXT) if mode == "whole" else adapted.stream()
            if mode != "whole":
                for word in TEXT.split():
                    stream.push_text(f"{word} ")
                stream.end_input()
            frames = []
            async with stream:
                async for event in stream:
                    frames.append(event.frame)
            await plugin.aclose()
        assert frames
        return b"".join(bytes(frame.data) for frame in frames), frames[0].sample_rate

    return asyncio.run(asyncio.wait_for(main(), 60))


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("openai", "whole"),
        ("openai", "adapter"),
        ("elevenlabs", "whole"),
        ("elevenlabs", "stream"),
        ("ours, with a server", "whole"),
        ("ours, with a server", "adapter"),
        ("ours, in this process", "whole"),
        ("ours, in this process", "stream"),
    ],
)
def test_a_reply_is_spoken(
    name: str, mode: str, server: Served, hears: Callable[..., None]
) -> None:
    sound, rate = spoken(server, MAKERS[name], mode)
    hears(sound, rate=rate)


@pytest.mark.parametrize(("is_local", "mode"), [(True, "stream"), (False, "whole")])
def test_speed(is_local: bool, mode: str, server: Served) -> None:
    def made(server: Served, speed: float) -> TTS:
        plugin = TTS(base_url=None if is_local else server.url, seed=1)
        plugin.update_options(speed=speed)
        return plugin

    sizes = [
        len(spoken(server, functools.partial(made, speed=speed), mode)[0]) for speed in (1.0, 2.0)
    ]
    assert 0.4 < sizes[1] / sizes[0] < 0.6


def test_an_unknown_voice_raises_livekits_error(server: Served) -> None:
    def make(server: Served) -> tts.TTS:
        return TTS(base_url=server.url, voice="nobody")

    with pytest.raises(APIStatusError, match="nobody"):
        spoken(server, make, "whole")
