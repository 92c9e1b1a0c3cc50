"""A conversation at a microphone: answers, interruptions, and what both have heard."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from causerie.conversation import Conversation
from causerie.errors import AudioError, ChatError, RecognitionError
from causerie.recognition.whisper import Recognizer
from causerie.talk.ears import Ears
from causerie.talk.mind import Echo, Message
from causerie.talk.record import Record
from causerie.talk.session import TalkSession
from causerie.talk.turn_detector import TurnDetector
from causerie.tts import TTS
from tests import tiny
from tests.talk.test_ears import Loudness, loud, silent

RATE, BLOCK = 24_000, 480
#: A turn of half a second, and the silence that ends it.
TURN = [loud(0.5, RATE), silent(0.7, RATE)]


class Desk:
    """Devices whose loudspeaker plays at once, or until the microphone ends.

    Args:
        parts: what the microphone hears; None waits until something was played, or all of it.
        stopped_at_s: what was played when the answer is interrupted.
    """

    sample_rate = RATE

    def __init__(
        self,
        parts: Sequence[np.ndarray | None],
        *,
        plays_on: bool = False,
        stopped_at_s: float = 0.0,
    ) -> None:
        self.parts, self.plays_on, self.stopped_at_s = parts, plays_on, stopped_at_s
        self.sounds: list[np.ndarray] = []
        self.is_held: asyncio.Event | None = None
        self._begun, self._finished, self._ended = (asyncio.Event() for _ in range(3))

    async def blocks(self) -> AsyncIterator[tuple[np.ndarray, np.ndarray]]:
        for part in self.parts:
            if part is None:
                await (self._begun if self.plays_on else self._finished).wait()
                continue
            if self.is_held is not None:
                (self.is_held.set if np.any(part) else self.is_held.clear)()
            for start in range(0, len(part) - BLOCK + 1, BLOCK):
                yield part[start : start + BLOCK], np.zeros(BLOCK, np.float32)
                await asyncio.sleep(0)
        self._ended.set()

    def play(self, pcm: np.ndarray) -> None:
        self.sounds.append(pcm)
        if sum(map(len, self.sounds)) >= max(0.3, self.stopped_at_s) * RATE:
            self._begun.set()

    def stop(self) -> float:
        return self.stopped_at_s

    async def played(self) -> float:
        self._finished.set()
        if self.plays_on:
            await self._ended.wait()
        return sum(map(len, self.sounds)) / RATE


class Log:
    """Remembers what a listener is told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, Any]] = []
        self.num_samples = 0

    def on_block(self, heard: np.ndarray, played: np.ndarray) -> None:
        self.num_samples += len(heard)

    def on_speech(self) -> None:
        self.lines.append(("speech", None))

    def on_partial(self, text: str) -> None:
        self.lines.append(("partial", text))

    def on_user(self, text: str) -> None:
        self.lines.append(("user", text))

    def on_first_sound(self, seconds: float) -> None:
        self.lines.append(("first sound", seconds))

    def on_reply(self, text: str, *, is_interrupted: bool) -> None:
        self.lines.append(("interrupted" if is_interrupted else "reply", text))

    def on_error(self, message: str) -> None:
        self.lines.append(("error", message))


@pytest.fixture(scope="module")
def tts() -> TTS:
    return TTS(tiny.checkpoint(max_frames=1024), watermark=False)


def talked(
    tts: TTS,
    desk: Desk,
    mind: Any,
    *,
    recognizer: Recognizer = lambda samples: "One fish swims.",
    push_to_talk: bool = False,
    log: Log | None = None,
) -> tuple[Log, Conversation]:
    log = log or Log()

    async def run() -> tuple[Log, Conversation]:
        conversation = tts.conversation()
        detector = TurnDetector(Loudness())
        if push_to_talk:
            detector = TurnDetector.of_button()
            desk.is_held = asyncio.Event()
        ears = Ears(detector, recognizer, conversation.listen, RATE, wants_partial=False)
        session = TalkSession(conversation, ears, mind, desk, log, is_held=desk.is_held)
        await asyncio.wait_for(session.run(), 60)
        await tts.aclose()
        return log, conversation

    return asyncio.run(run())


class Limited:
    """A mind whose answers are short, as a tiny model does not end by itself."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers, self.asked = list(answers), list[list[Message]]()

    async def __call__(
        self, messages: Sequence[Message], tools: Sequence[Message] = ()
    ) -> AsyncGenerator[str | Message, None]:
        self.asked.append([*messages])
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        for word in answer.split():
            yield word + " "


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    from causerie.reply import turns

    monkeypatch.setattr(turns, "MAX_DURATION_S", 2.0)  # long enough for three words


def test_a_turn_is_answered(tts: TTS) -> None:
    desk = Desk([silent(0.5, RATE), *TURN])
    log, conversation = talked(tts, desk, Echo())
    kinds = [kind for kind, _ in log.lines]
    assert kinds == ["speech", "user", "first sound", "reply"]
    assert log.lines[1][1] == log.lines[3][1] == "One fish swims."
    assert 0.4 < log.lines[2][1] < 30
    assert sum(map(len, desk.sounds)) == 2 * RATE
    context = [(turn.speaker, turn.text) for turn in conversation.context()]
    assert context == [(1, "One fish swims."), (0, "One fish swims.")]


def test_the_mind_knows_the_conversation(tts: TTS) -> None:
    mind = Limited("Two birds sing.", "Three cats sleep.")
    log, _ = talked(tts, Desk([*TURN, None, silent(1, RATE), *TURN]), mind)
    assert [kind for kind, _ in log.lines].count("reply") == 2
    said = [[(m["role"], m["content"]) for m in messages][1:] for messages in mind.asked]
    user = ("user", "One fish swims.")
    assert said == [[user], [user, ("assistant", "Two birds sing."), user]]


def test_speech_interrupts_the_answer(tts: TTS, monkeypatch: pytest.MonkeyPatch) -> None:
    mind = Limited("Two birds sing there in the tree. Three cats sleep now.", "Yes.")
    desk = Desk([*TURN, None, *TURN], plays_on=True, stopped_at_s=0.96)
    log, conversation = talked(tts, desk, mind)
    kinds = [kind for kind, _ in log.lines]
    assert kinds.count("interrupted") == 1
    heard = next(text for kind, text in log.lines if kind == "interrupted")
    assert "Two birds sing there in the tree. Three cats sleep now.".startswith(heard)
    (reply,) = [t for t in conversation.context() if t.speaker == 0 and t.text == heard]
    assert reply.codes is not None
    assert reply.codes.shape[1] == 12  # 0.96 s
    said = [(m["role"], m["content"]) for m in mind.asked[-1]][1:]
    assert said == [("user", "One fish swims."), ("assistant", heard), ("user", "One fish swims.")]


class Late:
    """A recognizer that hears these words, the first ones only once the user has gone on."""

    def __init__(self, *texts: str) -> None:
        self.texts, self.has_gone_on = list(texts), threading.Event()

    def __call__(self, samples: np.ndarray) -> str:
        assert self.has_gone_on.wait(30)
        return self.texts.pop(0)


class TwoTurns(Log):
    """Tells when the user goes on."""

    def __init__(self, has_gone_on: threading.Event) -> None:
        super().__init__()
        self.has_gone_on = has_gone_on

    def on_speech(self) -> None:
        super().on_speech()
        if [kind for kind, _ in self.lines].count("speech") == 2:
            self.has_gone_on.set()


@pytest.mark.parametrize("second", ["Two birds sing.", ""])
def test_who_goes_on_before_the_words_are_known_is_answered_once(tts: TTS, second: str) -> None:
    recognizer = Late("One fish swims.", second)
    log, conversation = talked(
        tts,
        Desk([*TURN, *TURN]),
        Echo(),
        recognizer=recognizer,
        log=TwoTurns(recognizer.has_gone_on),
    )
    kinds = [kind for kind, _ in log.lines]
    assert kinds == ["speech", "speech", "user", "user", "first sound", "reply"]
    both = f"One fish swims. {second}".strip()
    assert log.lines[-1][1] == both
    context = [(turn.speaker, turn.text) for turn in conversation.context()]
    assert context[:2] == [(1, "One fish swims."), (1, second)]
    assert " ".join(text for speaker, text in context if speaker == 0) == both


def test_who_goes_on_while_a_turn_is_remembered_is_answered_once(
    tts: TTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_gone_on, hear = threading.Event(), Conversation.hear

    def slow(self: Conversation, *args: Any, **options: Any) -> Any:
        assert has_gone_on.wait(30)
        return hear(self, *args, **options)

    monkeypatch.setattr(Conversation, "hear", slow)
    log, _ = talked(tts, Desk([*TURN, *TURN]), Echo(), log=TwoTurns(has_gone_on))
    assert [text for kind, text in log.lines if kind == "reply"] == [
        "One fish swims. One fish swims."
    ]


def test_a_noise_before_the_answer_is_heard_does_not_swallow_it(tts: TTS) -> None:
    texts = ["One fish swims.", ""]
    mind = Limited("Two birds sing.", "Three cats sleep.")
    desk = Desk([*TURN, None, *TURN], plays_on=True, stopped_at_s=0.0)
    log, _ = talked(tts, desk, mind, recognizer=lambda samples: texts.pop(0))
    said = [[(m["role"], m["content"]) for m in messages][1:] for messages in mind.asked]
    assert said == [[("user", "One fish swims.")]] * 2
    assert log.lines[-1] == ("reply", "Three cats sleep.")


def test_the_model_prepares_once_at_a_time(tts: TTS, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended, has_two_turns = [], [], threading.Event()

    class Words(Log):
        def on_user(self, text: str) -> None:
            super().on_user(text)
            if [kind for kind, _ in self.lines].count("user") == 2:
                has_two_turns.set()

    async def prepare(self: Conversation) -> None:
        begun.append(self)
        assert await asyncio.to_thread(has_two_turns.wait, 30)
        ended.append(self)

    monkeypatch.setattr(Conversation, "prepare", prepare)
    _, conversation = talked(tts, Desk([*TURN, *TURN]), Echo(), log=Words())
    assert begun == ended == [conversation]


def test_a_turn_without_words_is_not_answered(tts: TTS) -> None:
    log, conversation = talked(tts, Desk(TURN), Limited(), recognizer=lambda samples: " ")
    assert log.lines == [("speech", None), ("user", "")]
    assert [turn.text for turn in conversation.context()] == [""]


def test_a_mind_that_fails_is_told(tts: TTS) -> None:
    log, _ = talked(tts, Desk(TURN), Limited(ChatError("no answer from there")))
    assert log.lines[-1] == ("error", "no answer from there")


def test_the_words_count_if_their_sound_cannot(tts: TTS, monkeypatch: pytest.MonkeyPatch) -> None:
    def hear(*args: Any, **options: Any) -> None:
        raise AudioError("the turn is too long")

    monkeypatch.setattr(Conversation, "hear", hear)
    log, _ = talked(tts, Desk(TURN), Echo())
    assert ("error", "the turn is too long") in log.lines
    assert [kind for kind, _ in log.lines][-1] == "reply"


def test_a_recognizer_that_fails_is_told(tts: TTS) -> None:
    def fails(samples: np.ndarray) -> str:
        raise RecognitionError("no words from there")

    log, _ = talked(tts, Desk(TURN), Limited(), recognizer=fails)
    assert log.lines == [("speech", None), ("error", "no words from there")]


def test_a_button_is_held_to_talk(tts: TTS) -> None:
    desk = Desk([silent(0.5, RATE), loud(0.6, RATE), silent(0.2, RATE)])
    log, conversation = talked(tts, desk, Echo(), push_to_talk=True)
    assert [kind for kind, _ in log.lines] == ["speech", "user", "first sound", "reply"]
    codes = conversation.context()[0].codes
    assert codes is not None
    assert codes.shape[1] == pytest.approx(0.6 / 0.08, abs=2)


def test_both_sides_are_recorded(tmp_path: Path) -> None:
    record = Record(tmp_path / "talk.wav", RATE)
    record.add(loud(0.5, RATE), silent(0.5, RATE))
    record.write("you", "One fish swims.")
    record.add(silent(1.0, RATE), loud(1.0, RATE))
    record.write("reply", "Two birds sing.")
    record.close()
    samples, rate = soundfile.read(tmp_path / "talk.wav")
    assert (samples.shape, rate) == ((36_000, 2), RATE)
    assert np.abs(samples[:12_000, 0]).max() > 0.4 > np.abs(samples[:12_000, 1]).max()
    text = (tmp_path / "talk.txt").read_text(encoding="utf-8")
    assert text == "[00:00] you: One fish swims.\n[00:01] reply: Two birds sing.\n"
    with pytest.raises(AudioError, match=r"give a \.wav file"):
        Record(tmp_path / "no" / "talk.wav", RATE)
