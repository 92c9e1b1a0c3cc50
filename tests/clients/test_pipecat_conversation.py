"""Our service for pipecat hears the user, and knows how much of its replies was played."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    OutputAudioRawFrame,
    StartFrame,
    TextFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from causerie.errors import ConfigError
from causerie.integrations.pipecat import CauserieTTSService
from causerie.prompt import Segment
from causerie.tts import TTS
from tests.clients.assistant import ANSWER, QUESTION, RATE, STORY
from tests.clients.pipeline import Running, Tap, running
from tests.contexts import recorded
from tests.patience import PATIENCE_S
from tests.server.running import that_hears

PIECE = RATE // 50


class Loudspeaker(BaseOutputTransport):
    """Plays at real time, and remembers how much."""

    def __init__(self) -> None:
        super().__init__(TransportParams(audio_out_enabled=True, audio_out_sample_rate=RATE))
        self.played_s = self._ends = 0.0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        seconds = len(frame.audio) / 2 / RATE
        self._ends = max(self._ends, time.monotonic()) + seconds
        await asyncio.sleep(self._ends - time.monotonic())
        self.played_s += seconds
        return True


@pytest.fixture
def tts() -> TTS:
    return TTS(that_hears(TTS.from_pretrained().checkpoint))


@pytest.fixture
def contexts(tts: TTS, monkeypatch: pytest.MonkeyPatch) -> list[list[Segment]]:
    """The contexts of all sentences."""
    return recorded(tts, monkeypatch)


def talk(tts: TTS, task: Callable[[Running, Loudspeaker], Any]) -> list[Segment]:
    """Run a task; returns what the conversation is afterwards."""

    async def main() -> list[Segment]:
        service = CauserieTTSService(tts=tts, settings=CauserieTTSService.Settings(seed=1))
        loudspeaker = Loudspeaker()
        async with running(Tap(), service.ears, service, loudspeaker, Tap()) as pipeline:
            await task(pipeline, loudspeaker)
            assert service._conversation is not None
            return service._conversation.conversation.context()

    return asyncio.run(asyncio.wait_for(main(), 2 * PATIENCE_S))


def asked(sound: np.ndarray) -> list[Frame]:
    """The frames of a user's turn."""
    starts = range(0, len(sound), PIECE)
    return [
        VADUserStartedSpeakingFrame(start_secs=0.2),
        *(InputAudioRawFrame(sound[s : s + PIECE].tobytes(), RATE, 1) for s in starts),
        VADUserStoppedSpeakingFrame(stop_secs=0.2),
        TranscriptionFrame(QUESTION, "user", "now"),
    ]


def written(text: str) -> list[Frame]:
    """The frames of a language model."""
    return [LLMFullResponseStartFrame(), TextFrame(text), LLMFullResponseEndFrame()]


def test_a_reply_has_heard_the_user(
    tts: TTS, contexts: list[list[Segment]], asked_aloud: np.ndarray
) -> None:
    sentences = ["No, it is ten minutes on foot.", "There is a bus, too."]

    async def task(pipeline: Running, loudspeaker: Loudspeaker) -> None:
        await pipeline.send(*asked(asked_aloud), *written(" ".join(sentences)))
        await pipeline.until(BotStoppedSpeakingFrame)

    context = talk(tts, task)
    alone = tts.conversation()
    alone.hear(QUESTION, asked_aloud / np.float32(2**15), sample_rate=RATE)
    expected = [alone.context()]
    alone.generate(sentences[0], seed=1)
    expected.append(alone.context())
    alone.generate(sentences[1], seed=1)
    for one, other in zip([*contexts, context], [*expected, alone.context()], strict=True):
        assert [(s.speaker, s.text) for s in one] == [(s.speaker, s.text) for s in other]
        assert all(np.array_equal(a.codes, b.codes) for a, b in zip(one, other, strict=True))
    assert [(s.speaker, s.text) for s in context] == [
        (1, QUESTION),
        (0, sentences[0]),
        (0, sentences[1]),
    ]


def test_an_interruption_leaves_what_was_played(tts: TTS, asked_aloud: np.ndarray) -> None:
    played: list[float] = []

    async def task(pipeline: Running, loudspeaker: Loudspeaker) -> None:
        await pipeline.send(*written(STORY))
        await pipeline.when(lambda: loudspeaker.played_s > 5, "five seconds of a story")
        await pipeline.send(InterruptionFrame())
        await pipeline.until(InterruptionFrame)
        played.append(loudspeaker.played_s)
        await pipeline.send(*asked(asked_aloud), *written(ANSWER))
        await pipeline.until(BotStoppedSpeakingFrame, 4)  # both ways

    context = talk(tts, task)
    story = [segment for segment in context if segment.text not in (QUESTION, ANSWER)]
    assert [segment.text for segment in context[len(story) :]] == [QUESTION, ANSWER]
    assert STORY.startswith(" ".join(segment.text for segment in story))
    seconds = sum(s.codes.shape[1] for s in story if s.codes is not None) * 0.08
    assert seconds == pytest.approx(played[0], abs=0.4)
    assert len(story) > 1


def test_with_a_server_replies_cannot_hear() -> None:
    service = CauserieTTSService(base_url="http://127.0.0.1:1")
    with pytest.raises(ConfigError, match="with base_url, replies cannot hear the user"):
        service.ears  # noqa: B018
