"""Our plugin for LiveKit hears the user, and knows how much of its replies was played."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from livekit.agents import Agent, AgentSession

from causerie.errors import ConfigError
from causerie.integrations.agent_conversation import AgentConversation
from causerie.integrations.livekit import TTS
from causerie.prompt import Segment
from causerie.tts import TTS as Model
from tests.clients.assistant import ANSWER, QUESTION, RATE, STORY
from tests.clients.room import PIECE, Room
from tests.contexts import recorded
from tests.patience import PATIENCE_S
from tests.server.running import that_hears


@pytest.fixture
def model() -> Model:
    return Model(that_hears(Model.from_pretrained().checkpoint))


@pytest.fixture
def contexts(model: Model, monkeypatch: pytest.MonkeyPatch) -> list[list[Segment]]:
    """The contexts of all replies."""
    return recorded(model, monkeypatch)


def talk(model: Model, task: Callable[[Room], Awaitable[None]], **options: Any) -> list[Segment]:
    """Run a task; returns what the conversation is afterwards."""

    async def main() -> list[Segment]:
        plugin = TTS(tts=model, seed=1)
        session: AgentSession[Any] = AgentSession(tts=plugin, **options)
        room = Room(session)
        await session.start(Agent(instructions=""))
        await plugin.hears(session)
        try:
            await task(room)
            speaker = await plugin.speaker()
            assert isinstance(speaker, AgentConversation)
            return speaker.conversation.context()
        finally:
            await session.aclose()
            await plugin.aclose()

    return asyncio.run(asyncio.wait_for(main(), 2 * PATIENCE_S))


def test_a_reply_has_heard_the_user(
    model: Model, contexts: list[list[Segment]], asked_aloud: np.ndarray
) -> None:
    async def task(room: Room) -> None:
        await room.ask(asked_aloud)
        await room.session.say(ANSWER)
        await room.session.say("There is a bus, too.")

    context = talk(model, task, vad=None)
    alone = model.conversation()
    alone.hear(QUESTION, asked_aloud / np.float32(2**15), sample_rate=RATE)
    expected = [alone.context()]
    alone.generate(ANSWER, seed=1)
    expected.append(alone.context())
    alone.generate("There is a bus, too.", seed=1)
    for one, other in zip([*contexts, context], [*expected, alone.context()], strict=True):
        assert [(s.speaker, s.text) for s in one] == [(s.speaker, s.text) for s in other]
        assert all(np.array_equal(a.codes, b.codes) for a, b in zip(one, other, strict=True))
    assert [(s.speaker, s.text) for s in context] == [
        (1, QUESTION),
        (0, ANSWER),
        (0, "There is a bus, too."),
    ]


def test_an_interruption_leaves_what_was_played(model: Model, asked_aloud: np.ndarray) -> None:
    played: list[float] = []

    async def task(room: Room) -> None:
        told = room.session.say(STORY)
        while room.loudspeaker.playing_s < 3:
            await asyncio.sleep(0.01)
        told.interrupt()
        await told
        played.extend(room.loudspeaker.played)
        await room.ask(asked_aloud)
        await room.session.say(ANSWER)

    context = talk(model, task, vad=None)
    story = [segment for segment in context if segment.text not in (QUESTION, ANSWER)]
    assert [segment.text for segment in context[len(story) :]] == [QUESTION, ANSWER]
    assert STORY.startswith(" ".join(segment.text for segment in story))
    seconds = sum(s.codes.shape[1] for s in story if s.codes is not None) * 0.08
    assert seconds == pytest.approx(played[0], abs=0.08)


def test_livekits_own_detector_finds_the_turn(model: Model, asked_aloud: np.ndarray) -> None:
    async def task(room: Room) -> None:
        states: list[str] = []
        room.session.on("user_state_changed", lambda event: states.append(event.new_state))
        await room.hear(asked_aloud, pause_s=PIECE / RATE)
        assert states == ["speaking", "listening"]
        room.understand()
        await room.session.say(ANSWER, allow_interruptions=False)

    heard, said = talk(model, task)
    assert [(s.speaker, s.text) for s in (heard, said)] == [(1, QUESTION), (0, ANSWER)]
    assert heard.codes is not None
    spoken_s = len(asked_aloud) / RATE - 2  # half a second before it, and 1.5 s after it
    assert heard.codes.shape[1] * 0.08 == pytest.approx(spoken_s + 0.6, abs=0.5)


def test_a_session_has_to_have_started(model: Model) -> None:
    async def main() -> None:
        plugin = TTS(tts=model)
        with pytest.raises(ConfigError, match="call hears after"):
            await plugin.hears(AgentSession(tts=plugin))

    asyncio.run(main())


def test_a_closed_plugin_leaves_the_session_as_it_was(
    model: Model, asked_aloud: np.ndarray
) -> None:
    async def main() -> None:
        plugin = TTS(tts=model)
        session: AgentSession[Any] = AgentSession(tts=plugin, vad=None)
        room = Room(session)
        await session.start(Agent(instructions=""))
        source, emitters = session.input.audio, (session, session.output.audio)
        before = [{event: set(them) for event, them in e._events.items()} for e in emitters]
        await plugin.hears(session)
        heard = session.input.audio
        assert heard is not source
        await room.hear(asked_aloud[:PIECE])
        await plugin.aclose()
        assert session.input.audio is source
        after = [{k: set(v) for k, v in e._events.items() if v} for e in emitters]
        assert after == [{k: v for k, v in them.items() if v} for them in before]
        await room.hear(asked_aloud[: 10 * PIECE])  # is not heard, and raises nothing
        await session.aclose()

    asyncio.run(asyncio.wait_for(main(), PATIENCE_S))


def test_a_plugin_hears_one_session_at_a_time(model: Model) -> None:
    async def main() -> None:
        plugin = TTS(tts=model)
        for _ in range(2):
            session: AgentSession[Any] = AgentSession(tts=plugin, vad=None)
            Room(session)
            await session.start(Agent(instructions=""))
            await plugin.hears(session)
            with pytest.raises(ConfigError, match="hears a session already: make a TTS for each"):
                await plugin.hears(session)
            await session.aclose()  # then it may hear the next one
            assert not isinstance(await plugin.speaker(), AgentConversation)
        await plugin.aclose()

    asyncio.run(asyncio.wait_for(main(), PATIENCE_S))


def test_with_a_server_replies_cannot_hear() -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match="with base_url, replies cannot hear the user"):
            await TTS(base_url="http://127.0.0.1:1").hears(AgentSession())

    asyncio.run(main())
