"""OpenAI's client for Python with our server in its own process; more of it is in tests/server."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import numpy as np
from openai import AsyncOpenAI

from tests.clients.assistant import ANSWER, QUESTION, RATE, Assistant
from tests.patience import PATIENCE_S

PIECE = RATE // 50


def test_a_question_at_real_time_is_answered(
    assistant: Assistant, asked_aloud: np.ndarray, hears: Callable[..., None]
) -> None:
    by: dict[str, Any] = {}
    sound: list[bytes] = []

    async def main() -> None:
        client = AsyncOpenAI(base_url=assistant.http, api_key="-")
        async with client, client.realtime.connect(model="gpt-realtime") as connection:
            audio = {"input": {"transcription": {"model": "whisper-1", "language": "en"}}}
            await connection.session.update(session={"type": "realtime", "audio": audio})
            asking = asyncio.ensure_future(ask(connection))
            async for event in connection:
                assert event.type != "error", event
                by[event.type] = event
                if event.type == "response.output_audio.delta":
                    sound.append(base64.b64decode(event.delta))
                if event.type == "response.done":
                    break
            await asking

    async def ask(connection: Any) -> None:
        for start in range(0, len(asked_aloud), PIECE):
            data = asked_aloud[start : start + PIECE].tobytes()
            await connection.input_audio_buffer.append(audio=base64.b64encode(data).decode())
            await asyncio.sleep(PIECE / RATE)

    asyncio.run(asyncio.wait_for(main(), PATIENCE_S))
    completed = by["conversation.item.input_audio_transcription.completed"]
    assert completed.transcript == QUESTION
    assert completed.usage.seconds > 0.8
    assert by["response.done"].response.output[0].content[0].transcript == ANSWER
    hears(b"".join(sound), ANSWER, rate=RATE)
