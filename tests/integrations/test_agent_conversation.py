"""An agent's conversation has what its user said, and its replies as far as they were played."""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from causerie.conversation import Conversation
from causerie.integrations.agent_conversation import PADDING_S, AgentConversation, Spoken
from causerie.integrations.speech import Options, SpeechError
from causerie.prompt import Segment
from causerie.tts import TTS
from tests import tiny
from tests.contexts import recorded
from tests.test_conversation import ANSWER, FRAME, QUESTION, RATE, WHOLE, frames, sound

OPTIONS = Options(seed=3)
#: 20 ms at 24 kHz.
PIECE = RATE // 50


@pytest.fixture
def tts(monkeypatch: pytest.MonkeyPatch) -> TTS:
    """A model whose replies are short, though it does not end them."""
    tts = TTS(tiny.checkpoint(max_frames=1024), watermark=False)
    short = functools.partial(tts.astream, max_duration_s=WHOLE["max_duration_s"])
    monkeypatch.setattr(tts, "astream", short)
    return tts


def talk(
    tts: TTS, task: Callable[[AgentConversation], Awaitable[None]], **options: bool
) -> AgentConversation:
    """Run a task with a new conversation, which is returned."""

    async def main() -> AgentConversation:
        agent = AgentConversation(tts, **options)
        await task(agent)
        agent.close()
        return agent

    return asyncio.run(asyncio.wait_for(main(), 60))


def ask(agent: AgentConversation, pcm: np.ndarray, text: str = QUESTION, rate: int = RATE) -> None:
    """A turn of the user, as a framework reports it."""
    agent.start()
    for start in range(0, len(pcm), PIECE):
        agent.add(pcm[start : start + PIECE], rate)
    agent.understand(text)
    agent.stop()


async def reply(agent: AgentConversation, text: str = ANSWER) -> Spoken:
    """A reply, to its end."""
    spoken = await agent.speak(text, OPTIONS)
    async for _ in spoken:
        pass
    await spoken.aclose()
    return spoken


def told(conversation: Conversation) -> list[tuple[int, str]]:
    return [(segment.speaker, segment.text) for segment in conversation.context()]


def same(one: list[Segment], other: list[Segment]) -> bool:
    assert [(s.speaker, s.text) for s in one] == [(s.speaker, s.text) for s in other]
    return all(
        np.array_equal(a.codes, b.codes)  # type: ignore[arg-type]
        for a, b in zip(one, other, strict=True)
    )


# -- the user --------------------------------------------------------------------------------------


def test_a_reply_has_heard_the_user_as_in_a_conversation(
    tts: TTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts = recorded(tts, monkeypatch)

    async def task(agent: AgentConversation) -> None:
        ask(agent, sound(7))
        await reply(agent)
        ask(agent, sound(5, 1), "And by bus?")
        await reply(agent, "I know.")

    agent = talk(tts, task)
    alone = tts.conversation()
    alone.hear(QUESTION, sound(7), sample_rate=RATE)
    expected = [alone.context()]
    alone.generate(ANSWER, **WHOLE)
    alone.hear("And by bus?", sound(5, 1), sample_rate=RATE)
    expected.append(alone.context())
    alone.generate("I know.", **WHOLE)
    assert [[(s.speaker, s.text) for s in context] for context in contexts] == [
        [(1, QUESTION)],
        [(1, QUESTION), (0, ANSWER), (1, "And by bus?")],
    ]
    assert all(same(*pair) for pair in zip(contexts, expected, strict=True))
    assert same(agent.conversation.context(), alone.context())


def test_the_sound_before_the_speech_is_noticed_belongs_to_it(tts: TTS) -> None:
    async def task(agent: AgentConversation) -> None:
        for start in range(0, 2 * RATE, RATE // 16):
            agent.add(sound(25)[start : start + RATE // 16], RATE)
        ask(agent, sound(10, 1))
        await reply(agent)

    agent = talk(tts, task)
    padding = math.ceil(PADDING_S * 16) * RATE // 16  # whole pieces
    heard = agent.conversation.context()[0]
    alone = tts.conversation()
    whole = np.concatenate([sound(25)[2 * RATE - padding : 2 * RATE], sound(10, 1)])
    alone.hear(QUESTION, whole, sample_rate=RATE)
    assert same([heard], alone.context())


def test_sound_of_any_rate(tts: TTS) -> None:
    async def task(agent: AgentConversation) -> None:
        ask(agent, sound(10, rate=16_000), rate=16_000)
        await reply(agent)

    assert frames(talk(tts, task).conversation.context()[:1]) == 10


def test_a_turn_may_have_parts(tts: TTS) -> None:
    """As where the recognizer reports words at each pause, and after it."""

    async def task(agent: AgentConversation) -> None:
        ask(agent, sound(4), "Is it")
        ask(agent, sound(3), "")
        agent.understand(" far? ")
        await reply(agent)
        agent.understand("Too late.")
        ask(agent, sound(4), "I see.")
        await reply(agent)

    context = talk(tts, task).conversation.context()
    assert [s.text for s in context] == [QUESTION, ANSWER, "I see.", ANSWER]
    assert frames(context[:1]) == 7


def test_the_silence_that_ends_a_turn_is_cut(tts: TTS) -> None:
    async def task(agent: AgentConversation) -> None:
        agent.start()
        agent.add(sound(20), RATE)
        agent.stop(silence_s=0.2 + 8 * FRAME / RATE)
        await reply(agent)

    assert frames(talk(tts, task).conversation.context()[:1]) == 12


def test_a_reply_does_not_wait_for_a_user_who_speaks(tts: TTS) -> None:
    async def task(agent: AgentConversation) -> None:
        agent.start()
        agent.add(sound(4), RATE)
        await reply(agent)
        agent.add(sound(5), RATE)
        agent.stop()
        await reply(agent)

    context = talk(tts, task).conversation.context()
    assert [(s.speaker, frames([s])) for s in context if s.speaker == 1] == [(1, 4), (1, 5)]


def test_words_without_sound_are_no_context(tts: TTS) -> None:
    async def task(agent: AgentConversation) -> None:
        agent.understand(QUESTION)
        await reply(agent)

    assert told(talk(tts, task).conversation) == [(0, ANSWER)]


def test_a_turn_that_is_too_long_is_told(caplog: pytest.LogCaptureFixture) -> None:
    tts = TTS(tiny.checkpoint(max_frames=128), watermark=False)

    async def task(agent: AgentConversation) -> None:
        ask(agent, sound(150))
        await agent.speak(ANSWER, OPTIONS)

    assert talk(tts, task).conversation.context() == []
    assert "what the user said is no context of the reply" in caplog.text


def test_the_oldest_turns_are_dropped(tts: TTS) -> None:
    notes: list[str] = []

    async def task(agent: AgentConversation) -> None:
        for number in range(4):
            ask(agent, sound(150, number), f"Question {number}.")
            notes.extend((await reply(agent)).playback.reply.notes)

    context = talk(tts, task).conversation.context()
    alone = tts.conversation()
    for number in range(4):
        alone.hear(f"Question {number}.", sound(150, number), sample_rate=RATE)
        alone.generate(ANSWER, **WHOLE)
    assert same(context, alone.context())
    assert frames(context) < tts.checkpoint.defaults.context_s * RATE / FRAME < 4 * 150
    assert [note for note in notes if "oldest turns dropped" in note]


# -- replies ---------------------------------------------------------------------------------------


def test_an_interruption_leaves_what_was_played(tts: TTS) -> None:
    async def task(agent: AgentConversation) -> None:
        whole = await reply(agent, "One.")
        played = whole.playback.sent_ms / 1000
        cut = await agent.speak("Two of them are here, and others are not.", OPTIONS)
        while cut.playback.sent_ms < 3000 * FRAME / RATE:
            await anext(cut)
        await agent.speak("Three.", OPTIONS)
        agent.interrupt(played + 2 * FRAME / RATE)
        await cut.aclose()

    context = talk(tts, task).conversation.context()
    assert context[0].text == "One."
    rest = context[1:]
    assert frames(rest) <= 2
    assert all("Two of them are here, and others are not.".startswith(s.text) for s in rest)


def test_what_was_played_before_a_pause_counts(tts: TTS) -> None:
    async def task(agent: AgentConversation) -> None:
        first = await reply(agent, "One.")
        second = await agent.speak("Two of them are here, and others are not.", OPTIONS)
        await anext(second)
        agent.pause()
        before_ms = second.playback.sent_ms
        await anext(second)
        agent.interrupt(0.05)
        await second.aclose()
        assert first.playback.until_ms is None
        assert second.playback.until_ms == pytest.approx(before_ms + 50)

    talk(tts, task)


def test_a_reply_that_was_not_played_is_forgotten(tts: TTS) -> None:
    async def task(agent: AgentConversation) -> None:
        await reply(agent)
        agent.interrupt(0.0)

    assert told(talk(tts, task).conversation) == []


def test_replies_are_reported_one_by_one(tts: TTS) -> None:
    async def task(agent: AgentConversation) -> None:
        one = await reply(agent, "One.")
        assert agent.begin() is one
        cancelled = await agent.speak("Two.", OPTIONS)
        await cancelled.aclose()
        agent.finish(one)
        three = await reply(agent, "Three.")
        assert agent.begin() is three
        assert agent.begin() is None
        agent.finish(three, 2 * FRAME / RATE)
        await reply(agent, "Given up.")
        ask(agent, sound(5))
        await reply(agent, "Four.")

    context = talk(tts, task, reports_begin=True).conversation.context()
    assert frames([s for s in context if s.text == "Three."]) in (0, 2)
    assert [s.text for s in context if s.text != "Three."] == ["One.", QUESTION, "Four."]


def test_the_voice_of_the_options(tts: TTS) -> None:
    async def task(agent: AgentConversation) -> None:
        with pytest.raises(SpeechError, match="nobody") as error:
            await agent.speak(ANSWER, Options(voice="nobody"))
        assert error.value.status == 400
        await reply(agent)

    assert told(talk(tts, task).conversation) == [(0, ANSWER)]


def test_it_hears_nothing_once_it_is_closed(tts: TTS) -> None:
    async def task(agent: AgentConversation) -> None:
        agent.start()
        agent.add(sound(0.2), RATE)
        agent.close()
        ask(agent, sound(0.5))

    assert told(talk(tts, task).conversation) == []


def test_16_bit_samples_of_all_channels_are_heard(
    tts: TTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[np.ndarray, int]] = []

    async def task(agent: AgentConversation) -> None:
        monkeypatch.setattr(agent, "add", lambda samples, rate: heard.append((samples, rate)))
        data = np.array([[16384, 0], [-32768, -32768]], "<i2").tobytes()
        agent.add_pcm16(data, RATE, num_channels=2)
        agent.add_pcm16(memoryview(data), RATE)

    talk(tts, task)
    assert [(samples.tolist(), rate) for samples, rate in heard] == [
        ([0.25, -1.0], RATE),
        ([0.5, 0.0, -1.0, -1.0], RATE),
    ]
