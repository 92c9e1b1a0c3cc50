"""Our plugin for LiveKit hears the user, and knows how much of its replies was played."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from livekit import rtc
from livekit.agents import (
    Agent,
    AgentSession,
    UserInputTranscribedEvent,
    UserStateChangedEvent,
)
from livekit.agents.voice import io

from causerie.errors import ConfigError
from causerie.integrations.livekit import TTS
from causerie.prompt import Segment
from causerie.tts import TTS as Model
from tests.clients.assistant import ANSWER, QUESTION, RATE, STORY
from tests.patience import PATIENCE_S

PIECE = RATE // 50


class Microphone(io.AudioInput):
    """Gives what a test says."""

    def __init__(self) -> None:
        super().__init__(label="microphone")
        self.frames: asyncio.Queue[rtc.AudioFrame] = asyncio.Queue()

    async def __anext__(self) -> rtc.AudioFrame:
        frame = await self.frames.get()
        self.frames.task_done()
        return frame


class Loudspeaker(io.AudioOutput):
    """Plays at real time, and remembers how much of each reply."""

    def __init__(self) -> None:
        capabilities = io.AudioOutputCapabilities(pause=False)
        super().__init__(label="loudspeaker", capabilities=capabilities, sample_rate=RATE)
        self.played: list[float] = []
        self._started: float | None = None
        self._pushed_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def playing_s(self) -> float:
        """How much of the current reply was played."""
        elapsed = 0.0 if self._started is None else time.monotonic() - self._started
        return min(self._pushed_s, elapsed)

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if self._started is None:
            self._started = time.monotonic()
            self.on_playback_started(created_at=time.time())
        self._pushed_s += frame.duration

    def flush(self) -> None:
        super().flush()
        if self._started is not None:
            left = self._pushed_s - self.playing_s
            self._timer = asyncio.get_running_loop().call_later(left, self._end, False)

    def clear_buffer(self) -> None:
        if self._started is not None:
            self._end(True)

    def _end(self, interrupted: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.played.append(self.playing_s)
        self._started, self._pushed_s, self._timer = None, 0.0, None
        self.on_playback_finished(playback_position=self.played[-1], interrupted=interrupted)


class Room:
    """A session with a microphone and a loudspeaker."""

    def __init__(self, session: AgentSession[Any]) -> None:
        self.session, self.microphone, self.loudspeaker = session, Microphone(), Loudspeaker()
        session.input.audio = self.microphone
        session.output.audio = self.loudspeaker

    async def ask(self, sound: np.ndarray) -> None:
        """A turn of the user, which LiveKit's detectors report like this."""
        self._state("listening", "speaking")
        await self.hear(sound)
        self._state("speaking", "listening")
        self.understand()

    async def hear(self, sound: np.ndarray, pause_s: float = 0.0) -> None:
        """Sound at the microphone, with pauses between its pieces of 20 ms."""
        for start in range(0, len(sound), PIECE):
            data = sound[start : start + PIECE]
            self.microphone.frames.put_nowait(rtc.AudioFrame(data.tobytes(), RATE, 1, len(data)))
            await asyncio.sleep(pause_s)
        await self.microphone.frames.join()
        await asyncio.sleep(0)

    def understand(self) -> None:
        """The words of the question."""
        words = UserInputTranscribedEvent(transcript=QUESTION, is_final=True)
        self.session.emit("user_input_transcribed", words)

    def _state(self, old: Any, new: Any) -> None:
        event = UserStateChangedEvent(old_state=old, new_state=new)
        self.session.emit("user_state_changed", event)


@pytest.fixture
def model() -> Model:
    return Model.from_pretrained()


@pytest.fixture
def contexts(model: Model, monkeypatch: pytest.MonkeyPatch) -> list[list[Segment]]:
    """The contexts of all replies."""
    found: list[list[Segment]] = []
    astream = model.astream

    async def spied(text: Any, **options: Any) -> Any:
        found.append(options["context"])
        return await astream(text, **options)

    monkeypatch.setattr(model, "astream", spied)
    return found


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
            assert plugin._conversation is not None
            return plugin._conversation.conversation.context()
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
        await room.session.say(ANSWER)

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


def test_with_a_server_replies_cannot_hear() -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match="with base_url, replies cannot hear the user"):
            await TTS(base_url="http://127.0.0.1:1").hears(AgentSession())

    asyncio.run(main())
