"""Words misheard, and words said twice, by a scripted recognizer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from causerie.errors import TextError
from causerie.evaluate import repetition, words
from causerie.evaluate.tools import Tools
from causerie.recognition.words import compare
from tests.evaluate.sounds import audio, clip, tone


class Scripted(Tools):
    """Returns given transcripts, one after another."""

    def __init__(self, *heard: str) -> None:
        self.calls = 0

        def recognizer(samples: NDArray[np.float32]) -> str:
            self.calls += 1
            return heard[self.calls - 1]

        super().__init__(recognizer=recognizer)


def test_rates_are_over_all_words_not_a_mean_of_clips() -> None:
    found = compare(["The cat sat on the mat.", "Hello there."], ["the cat sat on a mat", "Hello"])
    assert (found.words, found.substitutions, found.deletions, found.insertions) == (8, 1, 1, 0)
    assert found.wer == 2 / 8
    assert 0 < found.cer < found.wer + 0.1


def test_spelling_and_case_are_no_errors() -> None:
    assert compare(["Don't go, it is 20 miles."], ["do not go it's twenty miles"]).errors == 0


def test_text_without_words_is_refused() -> None:
    with pytest.raises(TextError, match=r"'\.\.\.' has no words to recognize"):
        compare(["..."], ["hm"])


def test_measure_says_what_was_heard_of_each_clip() -> None:
    tools = Scripted("good morning", "good")
    clips = [clip(audio(tone(1))), clip(audio(tone(1))), clip(audio(tone(0)))]
    found = words.measure(clips, tools)
    assert [row["heard"] for row in found.rows] == ["good morning", "good", ""]
    assert [row["errors"] for row in found.rows] == [0, 1, 2]
    assert found.numbers["wer"] == 3 / 6
    assert found.numbers["perfect"] == pytest.approx(1 / 3)
    assert tools.calls == 2  # silence is not listened to
    words.measure(clips, tools)
    assert tools.calls == 2  # and no sound twice


def test_rates_of_each_voice_where_there_are_several() -> None:
    tools = Scripted("good morning", "bad morning")
    clips = [clip(audio(tone(1)), voice="ada"), clip(audio(tone(1)), voice="max")]
    numbers = words.measure(clips, tools).numbers
    assert numbers["wer/ada"] == 0
    assert numbers["wer/max"] == 0.5


@pytest.mark.parametrize(
    ("text", "repeated"),
    [
        ("we went home", 0),
        ("no no no", 2),
        ("i think i think so", 2),
        ("i think so i think", 0),
        ("a b c a b c a b c", 6),
        ("", 0),
    ],
)
def test_repeated_words(text: str, repeated: int) -> None:
    assert repetition.repeated_words(text.split()) == repeated


def looped(row: list[int], min_frames: int = 12) -> int:
    codes = torch.tensor([row, [code * 7 % 5 for code in row]])
    return repetition.looped_frames(codes, min_frames)


def test_looped_frames() -> None:
    plain = [i * i % 101 for i in range(40)]
    assert looped(plain) == 0
    assert looped([*plain, *[3, 1, 4] * 5]) == 15
    assert looped([*plain, *[9] * 12, *plain]) == 12
    assert looped([*plain, *[9] * 11, *plain]) == 0  # too short
    assert looped([*range(6), *range(6), 90]) == 0  # not three times round
    assert looped([5]) == 0


def test_acoustic_codes_count_too() -> None:
    codes = torch.stack([torch.ones(30, dtype=torch.long), torch.arange(30)])
    assert repetition.looped_frames(codes, 12) == 0
    assert repetition.looped_frames(codes[:1], 12) == 30


def test_repetition_of_the_text_is_none_of_the_speech() -> None:
    tools = Scripted("no no not today", "not not today")
    still = torch.ones(3, 25, dtype=torch.long)
    clips = [
        clip(audio(tone(1)), text="No, no, not today."),
        clip(audio(tone(2), codes=still), text="Not today."),
    ]
    found = repetition.measure(clips, tools)
    assert found.numbers == {"repeated_words": 1 / 7, "looping": 1.0}
    assert found.rows[1]["looped_s"] == pytest.approx(2.0)
