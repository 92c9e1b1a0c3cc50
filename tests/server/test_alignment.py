"""Letter timings of a text that was split into pieces."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from causerie.server.alignment import Alignment, Letter, OriginalText
from causerie.text.split import split

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
