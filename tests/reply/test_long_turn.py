"""Of a long turn of context, the last sentences are context, with their words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from causerie.audio.audio import Audio
from causerie.errors import AudioError
from causerie.prompt import Segment
from causerie.reply.long_turn import latest_words
from causerie.tts import TTS

TEXTS = [
    "The train to the city leaves from the other platform.",
    "She smiled and gave him a small blue box.",
    "We had a long talk about our plans, which took the whole evening.",
    "Don't forget to lock the door before you go.",
    "The garden looks beautiful at this time of the year.",
    "My phone stopped working after it fell into the sink.",
    "Is there anything else that you would like to know?",
]


@pytest.fixture(scope="module")
def tts() -> TTS:
    return TTS.from_pretrained("petit", device="cpu")


@pytest.fixture(scope="module")
def spoken(tts: TTS) -> list[np.ndarray]:
    return [tts.generate(text, voice="theo", seed=1).samples for text in TEXTS]


@pytest.fixture(scope="module")
def long(spoken: list[np.ndarray]) -> Audio:
    audio = Audio(samples=np.concatenate(spoken), sample_rate=24_000)
    assert audio.duration_s > 16
    return audio


@pytest.mark.parametrize(("max_s", "num"), [(8.0, 2), (6.0, 1), (12.0, 3)])
def test_the_last_sentences_are_kept(
    long: Audio, spoken: list[np.ndarray], max_s: float, num: int
) -> None:
    words, start_s = latest_words(long, " ".join(TEXTS), max_s)
    assert words.endswith(TEXTS[-1])
    assert words in [" ".join(TEXTS[-count:]) for count in (num, num + 1)]
    count = 1 + words.count(". ")
    begins = (len(long.samples) - sum(map(len, spoken[-count:]))) / 24_000
    assert start_s == pytest.approx(begins, abs=0.3)
    assert long.duration_s - start_s <= max_s


def test_within_one_sentence_the_longest_pause_is_the_place(spoken: list[np.ndarray]) -> None:
    gap = np.zeros(12_000, np.float32)
    parts = [spoken[1], gap, spoken[4]]
    text = f"{TEXTS[1].rstrip('.').lower()}, {TEXTS[4].lower()}"
    audio = Audio(samples=np.concatenate(parts), sample_rate=24_000)
    words, start_s = latest_words(audio, text, len(spoken[4]) / 24_000 + 0.4)
    assert words == TEXTS[4].lower()
    assert start_s * 24_000 == pytest.approx(len(spoken[1]) + 6_000, abs=6_000)


def test_words_keep_their_pronunciation(tts: TTS, long: Audio) -> None:
    text = " ".join(TEXTS).replace("garden", "[garden](/ɡˈɑɹdən/)").replace("sink", "**sink**")
    words, _ = latest_words(long, text, 12.0)
    assert " ".join(TEXTS).endswith(words)
    spoken = tts.checkpoint.front_end(words)
    assert " ɡˈɑɹdən " in spoken.text
    assert spoken.skipped == ""


def test_unknown_words_stay_unknown(long: Audio) -> None:
    assert latest_words(long, "", 8.0) == ("", pytest.approx(long.duration_s - 8))


def test_a_long_turn_is_the_context_that_its_end_is(tts: TTS, long: Audio, tmp_path: Path) -> None:
    text = " ".join(TEXTS)
    words, start_s = latest_words(long, text, 8.0, tts.checkpoint.front_end.lexicon)
    end = long.samples[round(start_s * 24_000) :]
    alone = [Segment(speaker=0, text=words, audio=end, sample_rate=24_000)]
    expected = tts.generate("Yes, I do.", context=alone, seed=3)
    assert not any("long" in note for note in expected.notes)
    file = long.save(tmp_path / "long.wav")
    for audio in (long, file):
        turn = Segment(speaker=0, text=text, audio=audio)
        reply = tts.generate("Yes, I do.", context=[turn], seed=3)
        (note,) = [note for note in reply.notes if "s long" in note]
        assert f"only the last {len(end) / 24_000:.1f}"[:-1] in note
        if audio is long:
            np.testing.assert_array_equal(reply.samples, expected.samples)
    whole = tts.make_voice("theo", [Segment(speaker=0, text=text, audio=long)]).segments[0]
    assert whole.codes is not None
    turn = Segment(speaker=0, text=text, codes=whole.codes)
    stream = tts.stream("Yes, I do.", context=[turn], seed=3)
    assert stream._source.num_context_frames == pytest.approx(len(end) / 1_920, abs=4)
    stream.close()


def test_a_short_turn_is_left_alone(tts: TTS) -> None:
    codes = torch.ones(tts.checkpoint.model.config.num_codebooks, 100, dtype=torch.long)
    segment = Segment(speaker=0, text="Yes.", codes=codes)
    assert tts._context.shortened(segment, "it", 16, 8) == (segment, 8.0)
    nothing = Segment(speaker=0, text="Yes.")
    with pytest.raises(AudioError, match="context segment 1 has neither audio nor codes"):
        tts.generate("Yes.", context=[nothing])
