"""The table of what is written and what a careful American reader says.

`readings.tsv` has the kind, the text as written, and its words: in small letters, without
punctuation, with the letters of initialisms apart. Alternatives are separated by " | ".
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from causerie.text.normalize import normalize
from causerie.text.reading import words_of

_LINES = (Path(__file__).parent / "readings.tsv").read_text(encoding="utf-8").splitlines()[1:]
READINGS = [tuple(line.split("\t")) for line in _LINES]


def words(written: str) -> str:
    return " ".join(words_of(written))


def test_the_table_is_large_and_has_no_duplicates() -> None:
    assert len(READINGS) >= 600
    assert len({(kind, written) for kind, written, _ in READINGS}) == len(READINGS)


@pytest.mark.parametrize("kind", sorted({kind for kind, _, _ in READINGS}))
def test_reads_as_a_careful_reader_would(kind: str) -> None:
    wrong = [
        f"{written!r}: {said!r}, not {spoken!r}"
        for of_kind, written, spoken in READINGS
        if of_kind == kind and (said := words(written)) not in spoken.split(" | ")
    ]
    assert not wrong, "\n".join(wrong)


def test_case_and_punctuation_of_other_words_are_kept() -> None:
    text = 'Well, "Anna" said: GPUs cost $5; McDonald\'s (in Rome) agreed... Did they?!'
    assert normalize(text) == (
        "Well, \"Anna\" said: G P U's cost five dollars; McDonald's (in Rome) agreed... Did they?!"
    )


@pytest.mark.slow
def test_mixed_tokens_of_the_table_are_read_without_an_error() -> None:
    tokens = [token for _, written, _ in READINGS for token in written.split(" ")]
    chance = random.Random(0)
    for _ in range(10_000):
        parts = (chance.choice(tokens) + chance.choice(["", " ", *"-/&.,:\n"]) for _ in range(6))
        normalize("".join(parts))
