"""LiveKit's agents: their plugins for OpenAI and ElevenLabs against our server, and our own."""

from __future__ import annotations

import asyncio
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
    "ours, of a server": lambda server: TTS(base_url=server.url),
    "ours, in this process": lambda server: TTS(),
}


def frames_of(server: Served, make: Make, how: str) -> tuple[bytes, int]:
    """Samples, and their rate."""

    async def main() -> tuple[bytes, int]:
        async with http_context.open():
            made = make(server)
            used = tts.StreamAdapter(tts=made) if how == "adapter" else made
            stream = used.synthesize(TEXT) if how == "whole" else used.stream()
            if how != "whole":
                for word in TEXT.split():
                    stream.push_text(f"{word} ")
                stream.end_input()
            frames = []
            async with stream:
                async for event in stream:
                    frames.append(event.frame)
            await made.aclose()
        assert frames
        return b"".join(bytes(frame.data) for frame in frames), frames[0].sample_rate

    return asyncio.run(asyncio.wait_for(main(), 60))


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("openai", "whole"),
        ("openai", "adapter"),
        ("elevenlabs", "whole"),
        ("elevenlabs", "stream"),
        ("ours, of a server", "whole"),
        ("ours, of a server", "adapter"),
        ("ours, in this process", "whole"),
        ("ours, in this process", "stream"),
    ],
)
def test_a_reply_is_heard(name: str, how: str, server: Served, hears: Callable[..., None]) -> None:
    sound, rate = frames_of(server, MAKERS[name], how)
    hears(sound, rate=rate)


def test_a_wrong_voice_is_livekits_error(server: Served) -> None:
    def make(server: Served) -> tts.TTS:
        return TTS(base_url=server.url, voice="nobody")

    with pytest.raises(APIStatusError, match="nobody"):
        frames_of(server, make, "whole")
