"""Cutting long text where a reader would pause."""

from __future__ import annotations

import random
import time

import pytest
import sentencex

from causerie.evaluate.sentences import read_sentences
from causerie.text.split import WINDOW, _segments, sentences, split


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
        ("the cat slept and the dog sat", ["the cat slept", "and the dog sat"]),
        ("we left the old hat on the gate", ["we left the old hat", "on the gate"]),
        ("he could not say any of the words", ["he could not say any", "of the words"]),
        ("the dog sat, and a cat slept on", ["the dog sat,", "and a cat slept on"]),
        ("and it is said that so did the big dog", ["and it is said", "that so did the big dog"]),
        ("he came back on May 5, 2024 alone", ["he came back", "on May 5, 2024 alone"]),
        ("it is tall, 5 ft 10 in, I say now", ["it is tall, 5 ft 10 in,", "I say now"]),
        ("so the very incomprehensibilities", ["so the very", "incomprehensibilities"]),
        ("he came back on May 5,  2024 alone", ["he came back", "on May 5,  2024 alone"]),
    ],
)
def test_a_long_sentence_is_cut_where_a_reader_would_pause(text: str, pieces: list[str]) -> None:
    assert split(text, 24) == pieces


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


@pytest.mark.parametrize("unit", [" ", "\n", ".", ". ", '."', "a", "![", "!= "])
def test_hostile_text_is_split_in_no_time(unit: str) -> None:
    started = time.process_time()
    split("x" + unit * 20_000 + "x", 250)
    assert time.process_time() - started < 2


@pytest.mark.parametrize("unit", ["!= ", "5! = ", "2s. 6 ", "approx. "])
def test_a_sentence_of_many_joins_is_found_in_no_time(unit: str) -> None:
    started = time.process_time()
    assert len(sentences(unit * (20_000 // len(unit)))) == 1
    assert time.process_time() - started < 1


def test_windows_find_the_same_sentences_as_the_whole_text() -> None:
    chosen = random.Random(1)
    for _ in range(20):
        text = " ".join(chosen.choice(read_sentences()) for _ in range(300))
        found = list(_segments(text))
        assert found == list(sentencex.segment("en", text))
        assert len(text) > 3 * WINDOW


@pytest.mark.parametrize("unit", ["a `b` c. ", "` ", "“a “b ", "«a. ", "a. ", "no stop "])
def test_quotes_take_time_linear_in_their_number(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    started = time.process_time()
    assert "".join(sentences(text)) == text
    assert time.process_time() - started < 2  # 13 s for the whole text at once
