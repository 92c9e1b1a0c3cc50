"""Examining recordings: what speech passes, and what each fault is called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.audio.recording import MAX_PAUSE_S, examine
from causerie.errors import AudioError

HELLO = Path(__file__).parents[2] / "docs/audio/hello.flac"
WORDS = "Hello, it is nice to meet you. Hello, it is nice to meet you."
RATE = 24_000


@pytest.fixture(scope="module")
def speech() -> NDArray[np.float32]:
    audio = Audio.load(HELLO)
    assert audio.sample_rate == RATE
    return np.tile(audio.samples, 2)


def kinds(samples: NDArray[np.float32], text: str | None = WORDS) -> list[str]:
    return [fault.kind for fault in examine(samples.astype(np.float32), RATE, text).faults]


def noise(size: int, level: float) -> NDArray[np.float32]:
    return (level * np.random.default_rng(0).standard_normal(size)).astype(np.float32)


def test_clear_speech_has_no_fault(speech: NDArray[np.float32]) -> None:
    found = examine(speech, RATE, WORDS)
    assert found.faults == ()
    assert 2.5 < found.speech_s < len(speech) / RATE + 0.05
    assert found.pace is not None
    assert 10 < found.pace < 20
    assert found.snr_db > 20
    assert examine(speech, RATE).pace is None
    assert kinds(0.1 * speech) == []
    assert kinds(np.tile(speech, 5), WORDS * 5) == []


def test_the_silence_around_speech_does_not_count(speech: NDArray[np.float32]) -> None:
    bare = examine(speech, RATE, WORDS)
    padded = np.concatenate([np.zeros(5 * RATE), speech, np.zeros(20 * RATE)]).astype(np.float32)
    found = examine(padded, RATE, WORDS)
    assert found.faults == ()
    assert found.speech_s == pytest.approx(bare.speech_s, abs=0.1)
    part = padded[found.start : found.end]
    assert len(part) / RATE == pytest.approx((bare.end - bare.start) / RATE, abs=0.25)
    assert np.square(part).sum() == pytest.approx(np.square(speech).sum(), rel=1e-3)


@pytest.mark.parametrize(
    ("samples", "kind"),
    [
        (np.zeros(0), "short"),
        (np.ones(96), "short"),
        (np.zeros(96), "short"),
        (np.zeros(RATE), "silent"),
        (noise(RATE, 1e-4), "silent"),
    ],
    ids=["empty", "4 ms", "4 ms of silence", "silence", "hiss"],
)
def test_no_speech(samples: NDArray[np.float32], kind: str) -> None:
    found = examine(samples.astype(np.float32), RATE, WORDS)
    assert [fault.kind for fault in found.faults] == [kind]
    assert (found.start, found.end) == (0, 0)


def test_length(speech: NDArray[np.float32]) -> None:
    assert kinds(speech[: RATE // 2], None) == ["short"]
    times = 31 * RATE // len(speech) + 1
    assert kinds(np.tile(speech, times), WORDS * times) == ["long"]


def test_clipping(speech: NDArray[np.float32]) -> None:
    loud = np.clip(30 * speech / np.abs(speech).max(), -1, 1)
    found = examine(loud, RATE, WORDS).of("clipped")
    assert "at full scale" in found[0].message


@pytest.mark.parametrize(
    ("snr_db", "noisy"), [(0, True), (6, True), (9, True), (18, False), (30, False)]
)
def test_noise(speech: NDArray[np.float32], snr_db: float, noisy: bool) -> None:
    level = np.sqrt(np.square(speech).mean()) * 10 ** (-snr_db / 20)
    mixed = speech + noise(len(speech), float(level))
    assert kinds(mixed) == (["noise"] if noisy else [])


@pytest.mark.parametrize(
    "text",
    [WORDS * 8, "Hi.", "No.", "你好。", "你好，很高兴认识你。" * 5],
    ids=["eight times", "two letters", "one word", "too few syllables", "too many syllables"],
)
def test_a_transcript_of_other_words(speech: NDArray[np.float32], text: str) -> None:
    found = examine(speech, RATE, text).of("pace")
    assert "letters per second" in found[0].message
    assert ("too long" in found[0].message) == (len(text) > 20)


def test_a_transcript_without_letters_has_no_pace(speech: NDArray[np.float32]) -> None:
    assert kinds(speech, "…") == []
    assert kinds(speech, "你好，很高兴认识你。") == []


def test_a_long_pause(speech: NDArray[np.float32]) -> None:
    def with_pause(seconds: float) -> NDArray[np.float32]:
        return np.concatenate([speech, np.zeros(int(seconds * RATE)), speech]).astype(np.float32)

    assert kinds(with_pause(MAX_PAUSE_S + 1), WORDS * 2) == ["pause"]
    assert kinds(with_pause(1.0), WORDS * 2) == []


def test_a_transcript_that_nobody_can_say_is_fatal(speech: NDArray[np.float32]) -> None:
    found = examine(speech, RATE)
    fast, impossible = found.with_transcript(WORDS * 3), found.with_transcript(WORDS * 8)
    for examined, is_fatal in ((fast, False), (impossible, True)):
        assert [(fault.kind, fault.is_fatal) for fault in examined.faults] == [("pace", is_fatal)]
    assert "too long: " in fast.faults[0].message
    assert "too long to be said in 3" in impossible.faults[0].message
    padded = np.concatenate([speech, np.zeros(60 * RATE, np.float32)])
    assert examine(padded, RATE, WORDS * 8).faults[0].is_fatal


def test_a_turn_may_be_short_or_long(speech: NDArray[np.float32]) -> None:
    yes = speech[: RATE // 2]
    assert examine(yes, RATE, "Hello.", role="turn").faults == ()
    times = 31 * RATE // len(speech) + 1
    assert examine(np.tile(speech, times), RATE, WORDS * times, role="turn").faults == ()
    for samples in (speech[: RATE // 30], 0 * speech):
        assert examine(samples, RATE, role="turn").faults[0].is_fatal
    assert examine(speech, RATE, role="turn") == examine(speech, RATE)


def test_usable_recordings_have_notes_and_others_are_an_error(
    speech: NDArray[np.float32],
) -> None:
    loud = np.clip(4 * speech / np.abs(speech).max(), -1, 1)
    (clipped,) = examine(loud, RATE, WORDS).notes("ann.wav")
    assert clipped.startswith("ann.wav is distorted: ")
    assert examine(speech, RATE, WORDS).notes("ann.wav") == []
    with pytest.raises(AudioError, match=r"^ann\.wav is distorted: [0-9]+ % of its samples"):
        examine(np.sign(speech), RATE, WORDS).notes("ann.wav")
    with pytest.raises(AudioError, match=r"^ann\.wav is silent: check the microphone$"):
        examine(0 * speech, RATE, WORDS).notes("ann.wav")


def test_clipping_is_that_of_the_file(speech: NDArray[np.float32]) -> None:
    spans: list[tuple[float, float]] = []

    def share(start_s: float, end_s: float) -> float:
        spans.append((start_s, end_s))
        return 0.5

    found = examine(speech, RATE, clipped_share=share)
    assert "50 % of its samples" in found.of("clipped")[0].message
    assert spans == [(found.start / RATE, found.end / RATE)]
