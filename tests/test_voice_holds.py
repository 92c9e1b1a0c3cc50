"""In a conversation, the replies keep the chosen voice and do not take over the user's."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from causerie import TTS
from causerie.audio.audio import Audio
from causerie.conversation import Conversation
from causerie.evaluate.prosody import prosody
from causerie.evaluate.sentences import read_sentences
from causerie.evaluate.speaker import Resemblyzer

SENTENCES = read_sentences()
FRAME_S = 0.08
#: The voice, and that of the user.
PAIRS = [("bruno", "mia"), ("mia", "bruno"), ("heart", "oscar")]


@pytest.fixture(scope="module")
def petit() -> TTS:
    return TTS.from_pretrained(device="cpu")


def spoken(tts: TTS, voice: str, number: int) -> Audio:
    return tts.generate(SENTENCES[number], voice=voice, seed=number)


def turn(tts: TTS, conversation: Conversation, user: str, number: int) -> Audio:
    """The reply to a sentence that the user speaks."""
    asked = spoken(tts, user, number)
    conversation.hear(SENTENCES[number], asked.samples, sample_rate=asked.sample_rate)
    return conversation.generate(SENTENCES[number + 30], seed=number)


def pitch(audio: Audio) -> float:
    """The median pitch in semitones."""
    found = prosody(audio, "a")
    assert found is not None
    return found.pitch


@pytest.mark.parametrize(("voice", "user"), PAIRS)
def test_the_pitch_stays_that_of_the_voice(petit: TTS, voice: str, user: str) -> None:
    own, other = (
        np.median([pitch(spoken(petit, name, number)) for number in range(30, 36)])
        for name in (voice, user)
    )
    conversation = petit.conversation(voice)
    replies = [pitch(turn(petit, conversation, user, number)) for number in range(6)]
    assert abs(other - own) > 5
    assert abs(np.median(replies) - own) < 0.25 * abs(other - own)


@pytest.mark.slow
@pytest.mark.parametrize(("voice", "user"), PAIRS)
def test_twenty_turns(petit: TTS, voice: str, user: str) -> None:
    pytest.importorskip("resemblyzer", reason="Resemblyzer is not installed")
    encode = Resemblyzer()

    def vector(audio: Audio) -> np.ndarray:
        found = encode(audio)
        assert found is not None
        return found

    own, other = (
        np.mean([vector(spoken(petit, name, number)) for number in range(50, 56)], axis=0)
        for name in (voice, user)
    )
    conversation = petit.conversation(voice)
    to_voice, to_user, frames = [], [], []
    for number in range(20):
        reply = vector(turn(petit, conversation, user, number))
        to_voice.append(float(reply @ own) / np.linalg.norm(own))
        to_user.append(float(reply @ other) / np.linalg.norm(other))
        own_turns = [part.codes for part in conversation.context() if part.codes is not None]
        frames.append(sum(codes.shape[1] for codes in own_turns))
    print(voice, user, np.round(to_voice, 3), np.round(to_user, 3))
    assert all(one > two for one, two in zip(to_voice, to_user, strict=True))
    assert np.mean(to_voice[-5:]) > np.mean(to_voice[:5]) - 0.03
    assert max(frames) * FRAME_S < petit.checkpoint.defaults.context_s + 10  # with the last turns
    assert any(later < before for before, later in pairwise(frames))  # old turns were dropped
    assert petit.engine.prefixes.num_bytes <= petit.engine.prefixes.max_bytes
