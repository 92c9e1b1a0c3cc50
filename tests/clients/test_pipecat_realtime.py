"""pipecat's service for OpenAI's Realtime API, unmodified, with our server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    LLMFullResponseEndFrame,
    LLMRunFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService

from tests.clients.assistant import ANSWER, ARGUMENTS, DISTANCE, QUESTION, RATE, STORY, Assistant
from tests.clients.pipeline import Running, Tap, running
from tests.patience import PATIENCE_S

FRAME = RATE // 50  # 20 ms
TOOL = FunctionSchema(
    name="distance",
    description="How far a place is.",
    properties={"place": {"type": "string"}},
    required=["place"],
)


def service(assistant: Assistant, **audio: Any) -> OpenAIRealtimeLLMService:
    heard = events.AudioInput(
        transcription=events.InputAudioTranscription(),
        noise_reduction=events.InputAudioNoiseReduction(type="near_field"),
        **audio,
    )
    properties = events.SessionProperties(
        audio=events.AudioConfiguration(input=heard, output=events.AudioOutput(voice="marin"))
    )
    return OpenAIRealtimeLLMService(
        api_key="-",
        base_url=assistant.websocket,
        settings=OpenAIRealtimeLLMService.Settings(
            system_instruction="You live here.", session_properties=properties
        ),
    )


def talk(
    llm: OpenAIRealtimeLLMService,
    context: LLMContext,
    task: Callable[[Running], Any],
) -> None:
    async def main() -> None:
        pair = LLMContextAggregatorPair(context)
        stages = (Tap(), pair.user(), Tap(), llm, Tap(), pair.assistant())
        async with running(*stages) as pipeline:
            await task(pipeline)

    asyncio.run(asyncio.wait_for(main(), 2 * PATIENCE_S))


def pieces(sound: np.ndarray) -> list[Frame]:
    """Frames of 20 ms, at 24 kHz."""
    starts = range(0, len(sound) - FRAME, FRAME)
    return [InputAudioRawFrame(sound[s : s + FRAME].tobytes(), RATE, 1) for s in starts]


def text_of(frames: list[TTSTextFrame]) -> str:
    return "".join(frame.text for frame in frames)


def test_a_spoken_question_is_answered(
    assistant: Assistant, asked_aloud: np.ndarray, hears: Callable[..., None]
) -> None:
    context = LLMContext([{"role": "user", "content": "Hello there."}])

    async def task(pipeline: Running) -> None:
        await pipeline.send(LLMRunFrame())
        await pipeline.until(LLMFullResponseEndFrame)
        assert text_of(pipeline.seen(TTSTextFrame)) == "Good morning."
        num_before = len(pipeline.seen(TTSAudioRawFrame))
        await pipeline.send(*pieces(asked_aloud))
        await pipeline.until(LLMFullResponseEndFrame, 2)
        assert text_of(pipeline.seen(TTSTextFrame)) == f"Good morning.{ANSWER}"
        sound = b"".join(f.audio for f in pipeline.seen(TTSAudioRawFrame)[num_before:])
        hears(sound, ANSWER, rate=RATE)
        (transcription,) = await pipeline.until(TranscriptionFrame)
        assert transcription.text == QUESTION
        assert pipeline.seen(UserStartedSpeakingFrame)
        assert pipeline.seen(UserStoppedSpeakingFrame)

    talk(service(assistant), context, task)
    assert assistant.said() == ["Hello there.", QUESTION]
    for greeting in assistant.said("assistant"):  # none if not a word was played before
        assert "Good morning.".startswith(greeting)  # as far as it was played when the user spoke
    assert assistant.said("system")[0].endswith("You live here.")


def test_a_function_is_called(assistant: Assistant, asked_aloud: np.ndarray) -> None:
    called: list[Any] = []
    tools = ToolsSchema(standard_tools=[TOOL])
    context = LLMContext([{"role": "user", "content": "Hello there."}], tools=tools)
    llm = service(assistant)

    async def distance(params: Any) -> None:
        called.append(params.arguments)
        await params.result_callback("six hundred metres")

    llm.register_function("distance", distance)

    async def task(pipeline: Running) -> None:
        await pipeline.send(LLMRunFrame())
        await pipeline.until(LLMFullResponseEndFrame)
        await pipeline.send(*pieces(asked_aloud))
        await pipeline.until(LLMFullResponseEndFrame, 3)
        said = text_of(pipeline.seen(TTSTextFrame)).replace('"', "")  # pipecat sends JSON
        assert said == f"Good morning.{DISTANCE}"

    talk(llm, context, task)
    assert called == [ARGUMENTS]
    last = assistant.asked[-1]["messages"][-1]
    assert (last["role"], "six hundred metres" in last["content"]) == ("tool", True)


def test_speaking_interrupts(assistant: Assistant, asked_aloud: np.ndarray) -> None:
    context = LLMContext([{"role": "user", "content": "Tell me a story."}])

    async def task(pipeline: Running) -> None:
        await pipeline.send(LLMRunFrame())
        await pipeline.until(TTSAudioRawFrame)
        await pipeline.send(*pieces(asked_aloud))
        await pipeline.when(lambda: text_of(pipeline.seen(TTSTextFrame)).endswith(ANSWER), ANSWER)
        (transcription,) = await pipeline.until(TranscriptionFrame)
        assert transcription.text == QUESTION

    talk(service(assistant), context, task)
    assert assistant.said() == ["Tell me a story.", QUESTION]
    heard = "".join(assistant.said("assistant"))
    assert STORY.startswith(heard)
    assert len(heard) < len(STORY) / 2


def test_the_client_may_find_the_turns(assistant: Assistant, asked_aloud: np.ndarray) -> None:
    context = LLMContext([{"role": "user", "content": "Hello there."}])

    async def task(pipeline: Running) -> None:
        await pipeline.send(LLMRunFrame())
        await pipeline.until(LLMFullResponseEndFrame)
        await pipeline.send(UserStartedSpeakingFrame(), *pieces(asked_aloud))
        await pipeline.send(UserStoppedSpeakingFrame())
        await pipeline.until(LLMFullResponseEndFrame, 2)
        assert text_of(pipeline.seen(TTSTextFrame)) == f"Good morning.{ANSWER}"

    talk(service(assistant, turn_detection=False), context, task)
    assert assistant.said() == ["Hello there.", QUESTION]
