from __future__ import annotations

import random

import pytest

from causerie.text.growing import GrowingText
from causerie.text.split import MIN_PIECE_CHARS

TEXT = (
    'Dr. Smith paid $3.50 to the U.S. embassy at 5 p.m. on Monday. He said "No way!" and left… '
    "Then: one\nTwo. 3. Item three? yes! e.g. this, i.e. that. Version 2.0 is out.  And "
    + "a b c d, " * 80
    + ". End"
)


def pieces_of(chunks: list[str], max_chars: int = 250) -> list[str]:
    growing = GrowingText(max_chars)
    return [piece for chunk in chunks for piece in growing.add(chunk)] + growing.flush()


def chunks_of(text: str, seed: int) -> list[str]:
    draw, chunks = random.Random(seed), list[str]()
    while text:
        size = draw.randint(1, 30)
        chunks.append(text[:size])
        text = text[size:]
    return chunks


@pytest.mark.parametrize("seed", range(50))
def test_pieces_do_not_depend_on_the_chunks(seed: int) -> None:
    assert pieces_of(chunks_of(TEXT, seed)) == pieces_of([TEXT]) == pieces_of(list(TEXT))


@pytest.mark.parametrize("seed", range(20))
def test_parts_of_long_sentences_do_not_depend_on_the_chunks(seed: int) -> None:
    draw = random.Random(seed)
    words = "the cat and a dog, which was because of; very incomprehensibilities not".split()
    text = " ".join(draw.choice(words) for _ in range(300)) + "."
    parts = pieces_of(chunks_of(text, seed), 60)
    assert parts == pieces_of([text], 60)
    assert " ".join(parts) == text


def test_nothing_is_lost_and_no_piece_is_too_long() -> None:
    pieces = pieces_of([TEXT])
    assert "".join("".join(pieces).split()) == "".join(TEXT.split())
    assert max(map(len, pieces)) <= 250


def test_abbreviations_and_amounts_do_not_end_a_sentence() -> None:
    assert pieces_of([TEXT])[0] == "Dr. Smith paid $3.50 to the U.S. embassy at 5 p.m. on Monday."


def test_a_sentence_is_spoken_as_soon_as_a_word_follows_it() -> None:
    growing = GrowingText(250)
    assert growing.add("Hello there.") == []
    assert growing.add(" How") == []  # may go on: "Hello there. However"
    assert growing.add(" ") == ["Hello there."]


def test_short_sentences_are_joined_after_the_first() -> None:
    pieces = pieces_of(["Yes. No. Well. I do not know what to say about that now. Good. Bye."])
    assert pieces[0] == "Yes."
    assert all(len(piece) >= MIN_PIECE_CHARS for piece in pieces[1:-1])
    assert pieces[1:] == ["No. Well. I do not know what to say about that now. Good. Bye."]


def test_flush_gives_all_and_the_text_goes_on_after_it() -> None:
    growing = GrowingText(250)
    assert growing.add("Wait") == []
    assert growing.flush() == ["Wait"]
    assert growing.flush() == []
    assert growing.add("for me. Or not") == []
    assert growing.flush() == ["for me. Or not"]


def test_a_sentence_without_an_end_does_not_wait_for_ever() -> None:
    growing = GrowingText(40)
    pieces = growing.add("word " * 20)
    assert pieces
    assert max(map(len, pieces)) <= 40
    assert " ".join(pieces + growing.flush()) == " ".join(["word"] * 20)


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\t \n"])
def test_white_space_is_no_piece(text: str) -> None:
    assert pieces_of([text, text]) == []
