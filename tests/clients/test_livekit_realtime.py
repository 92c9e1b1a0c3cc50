"""LiveKit's model for OpenAI's Realtime API, unmodified, with our server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import Agent, AgentSession, llm
from livekit.agents.utils import http_context
from livekit.plugins import openai

from tests.clients.assistant import ANSWER, ARGUMENTS, DISTANCE, QUESTION, RATE, STORY, Assistant
from tests.clients.room import PIECE, Room
from tests.patience import PATIENCE_S

FRAME = RATE // 50  # 20 ms


@llm.function_tool(name="distance")
async def far(place: str) -> str:
    """How far a place is, which this tool knows.

    Args:
        place: its name.
    """
    return "six hundred metres"


class Said:
    """What a generation said, as it arrives.

    Attributes:
        calls: of tools.
    """

    def __init__(self, generation: llm.GenerationCreatedEvent) -> None:
        self.text, self.sound, self.message = "", b"", ""
        self.calls: list[llm.FunctionCall] = []
        self.begun = asyncio.Event()
        self._generation = generation
        self.whole = asyncio.ensure_future(self._collect())

    async def _collect(self) -> Said:
        async for message in self._generation.message_stream:
            self.message = message.message_id
            await asyncio.gather(self._read(message), self._listen(message))
        self.calls = [call async for call in self._generation.function_stream]
        return self

    async def _read(self, message: llm.MessageGeneration) -> None:
        async for part in message.text_stream:
            self.text += part

    async def _listen(self, message: llm.MessageGeneration) -> None:
        async for frame in message.audio_stream:
            assert frame.sample_rate == RATE
            self.sound += bytes(frame.data)
            if len(self.sound) > 2 * RATE:  # a second
                self.begun.set()


class Client:
    """A session of LiveKit's, and what it reported."""

    def __init__(self, session: openai.realtime.RealtimeSession) -> None:
        self.session = session
        self.generations: asyncio.Queue[Said] = asyncio.Queue()
        self.transcripts: list[llm.InputTranscriptionCompleted] = []
        self.reported: list[str] = []
        self.errors: list[Any] = []
        session.on("generation_created", lambda made: self.generations.put_nowait(Said(made)))
        session.on("input_audio_transcription_completed", self.transcripts.append)
        session.on("input_speech_started", lambda _: self.reported.append("started"))
        session.on("input_speech_stopped", lambda _: self.reported.append("stopped"))
        session.on("error", self.errors.append)

    def ask(self, sound: np.ndarray) -> None:
        """Say something, at 24 kHz."""
        for start in range(0, len(sound) - FRAME, FRAME):
            data = sound[start : start + FRAME].tobytes()
            self.session.push_audio(rtc.AudioFrame(data, RATE, 1, FRAME))

    async def next(self) -> Said:
        """The next generation."""
        return await asyncio.wait_for(self.generations.get(), PATIENCE_S)


@asynccontextmanager
async def connected(assistant: Assistant, **options: Any) -> AsyncIterator[Client]:
    async with http_context.open():
        model = openai.realtime.RealtimeModel(
            base_url=assistant.http,
            api_key="-",
            input_audio_noise_reduction="near_field",
            **options,
        )
        client = Client(model.session())
        try:
            yield client
        finally:
            await client.session.aclose()
            await model.aclose()
        assert not client.errors


def talk(assistant: Assistant, task: Callable[[Client], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with connected(assistant, **options) as client:
            await task(client)

    asyncio.run(asyncio.wait_for(main(), 2 * PATIENCE_S))


def test_a_spoken_question_is_answered(
    assistant: Assistant, asked_aloud: np.ndarray, hears: Callable[..., None]
) -> None:
    async def task(client: Client) -> None:
        metrics: list[Any] = []
        client.session.on(
            "metrics_collected",
            lambda made: metrics.append(made) if made.type == "realtime_model_metrics" else None,
        )
        await client.session.update_instructions("You live here.")
        client.ask(asked_aloud)
        said = await (await client.next()).whole
        assert said.text == ANSWER
        hears(said.sound, ANSWER, rate=RATE)
        assert client.reported == ["started", "stopped"]
        final = client.transcripts[-1]
        assert final.is_final
        assert final.transcript == QUESTION
        chat = [(m.role, m.text_content) for m in client.session.chat_ctx.messages()]
        assert chat == [("user", QUESTION), ("assistant", ANSWER)]
        while not (made := [m for m in metrics if m.ttft > 0]):  # not those of connecting
            await asyncio.sleep(0.01)
        seconds = len(said.sound) / 2 / RATE
        assert made[0].output_token_details.audio_tokens == round(seconds * 12.5)

    talk(assistant, task)
    assert assistant.said() == [QUESTION]
    assert assistant.said("system")[0].endswith("You live here.")


def test_a_tool_is_called(assistant: Assistant, asked_aloud: np.ndarray) -> None:
    async def task(client: Client) -> None:
        await client.session.update_tools([far])
        client.ask(asked_aloud)
        said = await (await client.next()).whole
        (call,) = said.calls
        assert (call.name, call.arguments) == ("distance", '{"place": "station"}')
        chat = client.session.chat_ctx.copy()
        chat.items.append(
            llm.FunctionCallOutput(
                call_id=call.call_id, name="distance", output="six hundred metres", is_error=False
            )
        )
        await client.session.update_chat_ctx(chat)
        client.session.generate_reply()
        assert (await (await client.next()).whole).text == DISTANCE

    talk(assistant, task)
    (tool,) = assistant.asked[0]["tools"]
    assert list(tool["function"]["parameters"]["properties"]) == list(ARGUMENTS)
    last = assistant.asked[-1]["messages"][-2:]
    assert last[0]["tool_calls"][0]["function"]["name"] == "distance"
    assert (last[1]["role"], last[1]["content"]) == ("tool", "six hundred metres")


def test_a_reply_to_text_by_instructions(assistant: Assistant) -> None:
    async def task(client: Client) -> None:
        chat = llm.ChatContext.empty()
        chat.add_message(role="user", content="Hello there.")
        await client.session.update_chat_ctx(chat)
        made = client.session.generate_reply(instructions="Greet the user.")
        assert (await made).user_initiated
        assert (await (await client.next()).whole).text == "Good morning."

    talk(assistant, task)
    assert assistant.said("system")[0].endswith("Greet the user.")


def test_an_interrupted_reply_is_cut(assistant: Assistant) -> None:
    """By the client, which finds turns itself: it cancels, and says how much was heard."""

    async def task(client: Client) -> None:
        chat = llm.ChatContext.empty()
        chat.add_message(role="user", content="Tell me a story.")
        await client.session.update_chat_ctx(chat)
        client.session.generate_reply()
        said = await client.next()
        await asyncio.wait_for(said.begun.wait(), PATIENCE_S)
        client.session.interrupt()
        await said.whole
        assert len(said.sound) / 2 / RATE < 20
        client.session.truncate(message_id=said.message, modalities=["audio"], audio_end_ms=800)
        await answered(client)

    talk(assistant, task)
    (heard,) = assistant.said("assistant")
    assert len(heard) < 20
    assert STORY.startswith(heard)


def test_answers_as_text(assistant: Assistant, asked_aloud: np.ndarray) -> None:
    """As for a voice of another service."""

    async def task(client: Client) -> None:
        client.ask(asked_aloud)
        said = await (await client.next()).whole
        assert (said.text.strip(), said.sound) == (ANSWER, b"")

    talk(assistant, task, modalities=["text"])


def test_speaking_interrupts(assistant: Assistant, asked_aloud: np.ndarray) -> None:
    async def task(client: Client) -> None:
        chat = llm.ChatContext.empty()
        chat.add_message(role="user", content="Tell me a story.")
        await client.session.update_chat_ctx(chat)
        client.session.generate_reply()
        said = await client.next()
        await asyncio.wait_for(said.begun.wait(), PATIENCE_S)
        client.ask(asked_aloud)
        await said.whole
        assert client.reported == ["started"]
        # LiveKit deletes a message of which nothing was heard.
        client.session.truncate(message_id=said.message, modalities=["audio"], audio_end_ms=0)
        assert (await (await client.next()).whole).text == ANSWER

    talk(assistant, task)
    assert assistant.said() == ["Tell me a story.", QUESTION]
    assert assistant.said("assistant") == []


def test_an_agent_talks(
    assistant: Assistant, asked_aloud: np.ndarray, hears: Callable[..., None]
) -> None:
    """As in docs/clients.md: the model is that of a session, whose agent has a tool."""
    said: list[tuple[str, str | None]] = []
    played: list[bytes] = []

    def note(event: Any) -> None:
        if event.item.type == "message":
            said.append((event.item.role, event.item.text_content))

    async def main() -> None:
        model = openai.realtime.RealtimeModel(base_url=assistant.http, api_key="-")
        session: AgentSession[Any] = AgentSession(llm=model)
        session.on("conversation_item_added", note)
        errors: list[Any] = []
        session.on("error", errors.append)
        room = Room(session)
        await session.start(Agent(instructions="You live here.", tools=[far]))
        try:
            await room.hear(asked_aloud, pause_s=PIECE / RATE)
            while ("assistant", DISTANCE) not in said:
                await room.hear(np.zeros(PIECE, "<i2"), pause_s=PIECE / RATE)
            played.append(b"".join(room.loudspeaker.sound))
        finally:
            await session.aclose()
            await model.aclose()
        assert not errors

    asyncio.run(asyncio.wait_for(main(), 2 * PATIENCE_S))
    assert said == [("user", QUESTION), ("assistant", DISTANCE)]
    hears(played[0], DISTANCE, rate=RATE)
    assert assistant.asked[-1]["messages"][-1]["content"] == "six hundred metres"


async def answered(client: Client) -> None:
    """Let the language model be asked again."""
    client.session.generate_reply()
    await (await client.next()).whole
