"""ElevenLabs' own client, by HTTP: its WebSocket wants TLS, which this server does not speak."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable

import pytest
from elevenlabs import AsyncElevenLabs, ElevenLabs
from elevenlabs.core import ApiError

from tests.clients.conftest import TEXT
from tests.server.process import Served

PCM = "pcm_24000"


@pytest.fixture
def client(server: Served) -> ElevenLabs:
    return ElevenLabs(base_url=server.url, api_key="-")


def test_speech_is_heard_whole_and_streamed(client: ElevenLabs, hears: Callable[..., None]) -> None:
    how = {"text": TEXT, "model_id": "eleven_multilingual_v2", "output_format": PCM, "seed": 5}
    whole = b"".join(client.text_to_speech.convert("heart", **how))
    hears(whole, rate=24_000)
    assert b"".join(client.text_to_speech.stream("heart", **how)) == whole


def test_letters_have_times(client: ElevenLabs) -> None:
    how = {"text": TEXT, "output_format": PCM, "seed": 5}
    sound = b"".join(client.text_to_speech.convert("heart", **how))
    timed = client.text_to_speech.convert_with_timestamps("heart", **how)
    assert base64.b64decode(timed.audio_base_64) == sound
    assert timed.alignment is not None
    assert "".join(timed.alignment.characters) == TEXT
    assert timed.alignment.character_end_times_seconds[-1] == pytest.approx(
        len(sound) / 48_000, abs=0.002
    )
    pieces = list(client.text_to_speech.stream_with_timestamps("heart", **how))
    assert len(pieces) > 5
    assert b"".join(base64.b64decode(piece.audio_base_64) for piece in pieces) == sound
    letters = [
        letter for piece in pieces if piece.alignment for letter in piece.alignment.characters
    ]
    assert "".join(letters) == TEXT


def test_the_asynchronous_one_gets_the_same(client: ElevenLabs, server: Served) -> None:
    how = {"text": TEXT, "output_format": PCM, "seed": 5}

    async def main() -> bytes:
        made = AsyncElevenLabs(base_url=server.url, api_key="-")
        pieces = made.text_to_speech.stream_with_timestamps("heart", **how)
        return b"".join([base64.b64decode(piece.audio_base_64) async for piece in pieces])

    assert asyncio.run(main()) == b"".join(client.text_to_speech.convert("heart", **how))


def test_voices_are_listed(client: ElevenLabs) -> None:
    assert "heart" in [voice.voice_id for voice in client.voices.get_all().voices]


def test_errors_are_its_own(client: ElevenLabs) -> None:
    calls = (
        client.text_to_speech.convert,
        client.text_to_speech.convert_with_timestamps,
        client.text_to_speech.stream_with_timestamps,
    )
    for call in calls:
        with pytest.raises(ApiError) as caught:
            list(call("nobody", text=TEXT))
        assert caught.value.status_code == 400
        detail = caught.value.body["detail"]
        assert detail["status"] == "voice_not_found"
        assert "nobody" in detail["message"]
