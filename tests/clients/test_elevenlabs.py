"""ElevenLabs' own client over HTTP; its WebSocket needs TLS, which this server does not have."""

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


def test_speech_is_the_same_complete_and_streamed(
    client: ElevenLabs, hears: Callable[..., None]
) -> None:
    options = {"text": TEXT, "model_id": "eleven_multilingual_v2", "output_format": PCM, "seed": 5}
    whole = b"".join(client.text_to_speech.convert("heart", **options))
    hears(whole, rate=24_000)
    assert b"".join(client.text_to_speech.stream("heart", **options)) == whole


def test_characters_have_times(client: ElevenLabs) -> None:
    options = {"text": TEXT, "output_format": PCM, "seed": 5}
    sound = b"".join(client.text_to_speech.convert("heart", **options))
    timed = client.text_to_speech.convert_with_timestamps("heart", **options)
    assert base64.b64decode(timed.audio_base_64) == sound
    assert timed.alignment is not None
    assert "".join(timed.alignment.characters) == TEXT
    assert timed.alignment.character_end_times_seconds[-1] == pytest.approx(
        len(sound) / 48_000, abs=0.002
    )
    chunks = list(client.text_to_speech.stream_with_timestamps("heart", **options))
    assert len(chunks) > 5
    assert b"".join(base64.b64decode(chunk.audio_base_64) for chunk in chunks) == sound
    characters = [one for chunk in chunks if chunk.alignment for one in chunk.alignment.characters]
    assert "".join(characters) == TEXT


def test_the_async_client_gets_the_same_audio(client: ElevenLabs, server: Served) -> None:
    options = {"text": TEXT, "output_format": PCM, "seed": 5}

    async def main() -> bytes:
        client = AsyncElevenLabs(base_url=server.url, api_key="-")
        chunks = client.text_to_speech.stream_with_timestamps("heart", **options)
        return b"".join([base64.b64decode(chunk.audio_base_64) async for chunk in chunks])

    assert asyncio.run(main()) == b"".join(client.text_to_speech.convert("heart", **options))


def test_voices_are_listed(client: ElevenLabs) -> None:
    assert "heart" in [voice.voice_id for voice in client.voices.get_all().voices]
    assert "heart" in [voice.voice_id for voice in client.voices.search().voices]
    assert client.voices.get("21m00Tcm4TlvDq8ikWAM").name == "Rachel"
    assert client.voices.settings.get("heart").speed == 1


def test_models_and_the_account_are_described(client: ElevenLabs) -> None:
    assert "petit" in [model.model_id for model in client.models.list()]
    assert client.user.get().subscription.tier == client.user.subscription.get().tier


def test_a_dialogue(client: ElevenLabs) -> None:
    inputs = [{"text": "Hello.", "voice_id": voice} for voice in ("JBFqnCBsd6RMkjVDRZzb", "mia")]
    for speak in client.text_to_dialogue.convert, client.text_to_dialogue.stream:
        assert len(b"".join(speak(inputs=inputs, output_format=PCM))) > 48_000


def test_errors_have_elevenlabs_format(client: ElevenLabs) -> None:
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
