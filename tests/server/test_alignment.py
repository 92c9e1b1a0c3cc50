"""Letter timings of a text that was split into pieces."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causerie.server.alignment import Alignment, ExactAlignment, Letter, OriginalText
from causerie.text.split import split
from causerie.tts import TTS
from causerie.word_times.align import word_times

TEXTS = st.text(alphabet=st.sampled_from("ab. ,!?\n\t\r☃é'\"-1"), max_size=80)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(TEXTS, st.integers(4, 30), st.sets(st.integers(0, 5)))
def test_each_character_occurs_once_and_times_increase(
    text: str, max_chars: int, unspeakable: set[int]
) -> None:
    pieces = [
        piece for number, piece in enumerate(split(text, max_chars)) if number not in unspeakable
    ]
    alignment, original = Alignment(), OriginalText(text)
    letters: list[Letter] = []
    for number, piece in enumerate(pieces):
        for seconds in (0.08, 0.16, 0.64):
            letters += original.align(alignment.add(number, piece, seconds))
    letters += original.align(alignment.rest())
    letters += original.rest()
    assert "".join(letter.char for letter in letters) == text
    assert all(letter.duration_ms >= 0 for letter in letters)
    for before, after in itertools.pairwise(letters):
        assert before.start_ms + before.duration_ms <= after.start_ms
    if letters:
        assert letters[0].start_ms == 0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TEXTS, st.integers(4, 30))
def test_exact_letters_occur_once_too(text: str, max_chars: int) -> None:
    alignment, original = ExactAlignment(24_000), OriginalText(text)
    noise = np.random.default_rng(0).normal(size=9_600).astype(np.float32)
    letters: list[Letter] = []
    pieces = split(text, max_chars)
    for number, piece in enumerate(pieces):
        for _ in range(2):
            letters += original.align(alignment.add(number, piece, noise))
    letters += original.align(alignment.rest())
    letters += original.rest()
    assert "".join(letter.char for letter in letters) == text
    for before, after in itertools.pairwise(letters):
        assert before.start_ms + before.duration_ms <= after.start_ms
    if any(letter.char.isalnum() for letter in letters):
        end = letters[-1].start_ms + letters[-1].duration_ms
        assert end <= 800 * len(pieces) + 1


@pytest.mark.parametrize("speed", [1.0, 2.0])
def test_exact_letters_of_words_begin_where_the_words_do(speed: float) -> None:
    text = "It costs **five** dollars. [pause 0.5s] Tom paid them all."
    stream = TTS.from_pretrained().stream(text, voice="clara", seed=1, speed=speed)
    alignment, letters = ExactAlignment(24_000), list[Letter]()
    for chunk in stream:
        letters += alignment.follow(stream, chunk)
    letters += alignment.rest()
    written = "".join(letter.char for letter in letters)
    pieces = stream.spoken_pieces()
    assert letters[0].start_ms == 0
    assert [piece for piece, _ in pieces] == [
        "It costs **five** dollars.",
        "",
        "Tom paid them all.",
    ]
    assert pieces[1][1] == 12_000
    words = word_times(stream.audio().samples, 24_000, pieces)
    assert len(words) == 8
    for word in words[1:]:
        letter = letters[written.index(word.text.strip("."))]
        assert letter.start_ms == pytest.approx(1000 * word.start_s, abs=25)
