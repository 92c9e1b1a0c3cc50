"""Words that are missing or invented, against what recognizers write otherwise."""

from __future__ import annotations

import pytest

from causerie.recognition.words import difference, normaliser
from causerie.text.reading import words_of

NORMAL = normaliser()


def found(text: str, recognized: str) -> tuple[int, int, int]:
    one = difference(words_of(text), recognized, NORMAL)
    return one.missing, one.invented, one.errors


def doubtful(text: str, recognized: str) -> int:
    return difference(words_of(text), recognized, NORMAL).doubtful


@pytest.mark.parametrize(
    ("text", "recognized"),
    [
        ("It costs $5-10 at 5 PM.", "It costs five to ten dollars at 5 p.m."),
        ("GPT-4 and the FBI.", "GPT four and the F.B.I."),
        ("Every day we don't go.", "Everyday we do not go"),
        ("Ask Priya Walsh about the colour.", "ask Pria Walch about the color"),
        ("The 80s were great!", "the eighties were great"),
        ("I've read 1,234 books.", "I have read one thousand two hundred thirty four books."),
        ("...", ""),
    ],
)
def test_what_is_only_written_otherwise_is_no_error(text: str, recognized: str) -> None:
    assert found(text, recognized) == (0, 0, 0)
    assert doubtful(text, recognized) == 0


@pytest.mark.parametrize(
    ("text", "recognized", "number"),
    [
        ("What would you like after lunch?", "What would you like after launch?", 1),
        ("The baby is sleeping.", "The baby is sweetening.", 1),
        ("The school is close to us.", "The school is clothes to us.", 1),
        ("Save changes.", "Save chambles.", 1),  # not a word
        ("Blue berries for two.", "Blueberries for too.", 0),  # sound alike
        ("Sarah met John.", "Sara met Jon.", 0),
        ("Ask Priya.", "Ask Priyah.", 0),  # no word that is known
    ],
)
def test_words_that_are_spelled_alike_are_doubtful(text: str, recognized: str, number: int) -> None:
    assert found(text, recognized) == (0, 0, 0)
    assert doubtful(text, recognized) == number


@pytest.mark.parametrize(
    ("text", "recognized", "expected"),
    [
        ("Please close the door.", "Please close", (2, 0, 2)),
        ("Please close the door.", "", (4, 0, 4)),
        ("Done", "Done and I will feel the crew open", (0, 7, 7)),
        ("See you soon.", "See you tomorrow morning", (1, 2, 2)),
        ("We go home. We eat.", "We go home. We go home. We eat.", (0, 3, 3)),
        ("Blue berries, green beans", "Blueberries, green beans. Green beans.", (0, 2, 2)),
        ("Buy blueberries", "Buy blue berries blue", (0, 1, 1)),
        ("Buy blue berries", "Buy green blueberries", (0, 1, 1)),
        ("The blueberries now", "Blue berries now", (1, 0, 1)),
        ("No new messages", "No messages is is.", (1, 2, 3)),
    ],
)
def test_missing_and_invented_words(
    text: str, recognized: str, expected: tuple[int, int, int]
) -> None:
    assert found(text, recognized) == expected


@pytest.mark.parametrize(
    ("text", "recognized", "is_right"),
    [
        ("Save changes.", "Same changes.", True),
        ("Save changes.", "Same triangles.", False),  # both words are doubtful
        (
            "What would you like after lunch today, my dear friend?",
            "What would you bike after launch today, my dear friend?",
            True,
        ),
        ("Please close the door.", "Please close", False),
    ],
)
def test_few_words_may_be_misheard(text: str, recognized: str, is_right: bool) -> None:
    assert difference(words_of(text), recognized, NORMAL).is_right is is_right


def test_letters_tell_attempts_with_equal_errors_apart() -> None:
    text = words_of("Please turn down the music.")
    near, far = (
        difference(text, heard, NORMAL)
        for heard in ("please burn down the music", "please churned town the music")
    )
    assert 0 < near.letters < far.letters
