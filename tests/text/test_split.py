"""Cutting long text where a reader would pause."""

from __future__ import annotations

import time

import pytest

from causerie.text.split import split


@pytest.mark.parametrize(
    ("text", "max_chars", "pieces"),
    [
        ("", 10, []),
        ("  \n ", 10, []),
        ("Short.", 10, ["Short."]),
        ("One. Two. Three.", 10, ["One. Two.", "Three."]),
        ('He said "go!" Then he went.', 15, ['He said "go!"', "Then he went."]),
        ("First line\nsecond line", 12, ["First line", "second line"]),
        ("one, two, three, four", 10, ["one, two,", "three,", "four"]),
        ("alpha beta gamma", 11, ["alpha beta", "gamma"]),
        ("incomprehensibilities", 5, ["incomprehensibilities"]),
        ("Pi is 3.14 exactly. No.", 20, ["Pi is 3.14 exactly.", "No."]),
    ],
)
def test_pieces(text: str, max_chars: int, pieces: list[str]) -> None:
    assert split(text, max_chars) == pieces


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One. Two. Three. Four.", ["One. Two.", "Three. Four."]),
        ("A long sentence. One. Two. Three.", ["A long sentence.", "One. Two.", "Three."]),
        ("One. A long sentence.", ["One. A long sentence."]),
    ],
)
def test_pieces_are_complete_at_their_least_length(text: str, pieces: list[str]) -> None:
    assert split(text, 250, min_chars=8) == pieces


def test_nothing_but_white_space_is_lost() -> None:
    text = "It was late; the ship, old and slow, came in. Who saw it? Nobody did! " * 20
    pieces = split(text, 60)
    assert max(map(len, pieces)) <= 60
    assert " ".join(pieces) == text.strip()


@pytest.mark.parametrize("unit", [" ", "\n", ".", ". ", '."', "a", "!["])
def test_hostile_text_is_split_in_no_time(unit: str) -> None:
    started = time.process_time()
    split("x" + unit * 20_000 + "x", 250)
    assert time.process_time() - started < 2
