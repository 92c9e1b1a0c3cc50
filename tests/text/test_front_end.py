"""User text becomes what the tokenizer gets."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import causerie
from causerie.errors import CheckpointError, ConfigError, TextError
from causerie.text.front_end import FrontEnd, ReadingOptions, Spoken, in_words
from causerie.text.growing import GrowingText
from causerie.text.split import split

PETIT = Path(causerie.__file__).parent / "assets" / "petit"


@pytest.fixture(scope="module")
def phonemes() -> FrontEnd:
    return FrontEnd.load("phonemes", PETIT)


AS_WRITTEN = ReadingOptions(normalize=False)


def test_plain_text_stays_as_it_is_without_normalizing(tmp_path: Path) -> None:
    text = "  Call 555-1234 *now* 😀 [pause 1s] [Kokoro](/kˈOkəɹO/)\n"
    assert FrontEnd.load("plain", tmp_path)(text, AS_WRITTEN) == Spoken(text=text, skipped="")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Call 555-1234 *now* 😀\n", "Call five five five, one two three four now."),
        ("It costs $5-10, (NASA) says.", "It costs five to ten dollars, (NASA) says."),
        ("# Title\n\n- Red Apples\n- **Blue**?", "Title. Red Apples. Blue?"),
        ("He said “No!”", 'He said "No!"'),
        ("Zürich costs 5 % more…", "Zürich costs five percent more…"),
        ("GPUs cost €3.50: [see](http://x.y)", "GPUs cost three euros and fifty cents: see."),
    ],
)
def test_plain_text_becomes_words_with_its_case_and_punctuation(text: str, expected: str) -> None:
    assert FrontEnd("plain")(text).text == expected


def test_normalize_off_is_noted_by_a_model_of_phonemes(phonemes: FrontEnd) -> None:
    spoken = phonemes("I have 2 cats.", AS_WRITTEN)
    assert spoken.text == phonemes("I have 2 cats.").text
    assert "normalize" in spoken.left_out[0].reason


def test_phonemes_are_read_after_normalizing(phonemes: FrontEnd) -> None:
    assert phonemes("I have 2 cats.") == phonemes("I have two cats.")
    assert phonemes("Hello, it is nice to meet you.").text == "həlˈO, ɪt ɪz nˈIs tə mˈit ju."


def test_what_cannot_be_read_is_reported(phonemes: FrontEnd) -> None:
    spoken = phonemes("Good night 🌙 and 再见!")
    assert spoken.skipped == "🌙再见"
    assert spoken.text == "ɡˈʊd nˈIt ænd!"


def test_the_bundled_lexicon_knows_everyday_words_and_names(phonemes: FrontEnd) -> None:
    text = (
        "Paul, Emily and Kevin put sandwiches, strawberries and wifi etcetera on the bookshelves."
    )
    assert not set(phonemes(text).text) & {chr(0xFF41 + i) for i in range(26)}


@pytest.mark.parametrize("kind", ["plain", "phonemes"])
@pytest.mark.parametrize("text", ["", " ", "\n\t\u00a0"])
def test_blank_text_is_refused(phonemes: FrontEnd, kind: str, text: str) -> None:
    front_end = phonemes if kind == "phonemes" else FrontEnd("plain")
    with pytest.raises(TextError, match="text is empty"):
        front_end(text)


@pytest.mark.parametrize("text", ["...", "😀", "«»", "猫" * 100, "***", "-"])
def test_text_without_anything_to_say_is_refused(phonemes: FrontEnd, text: str) -> None:
    with pytest.raises(TextError, match="can be spoken") as error:
        phonemes(text)
    assert len(str(error.value)) < 200


def test_unknown_kind_missing_and_damaged_lexicon(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'letters' is unknown"):
        FrontEnd.load("letters", tmp_path)
    with pytest.raises(ConfigError, match="needs a lexicon"):
        FrontEnd("phonemes")
    with pytest.raises(CheckpointError, match=r"lexicon.txt.gz is missing"):
        FrontEnd.load("phonemes", tmp_path)
    (tmp_path / "lexicon.txt.gz").write_bytes(gzip.compress(b"cat\tk")[:-9])
    with pytest.raises(CheckpointError, match="no readable lexicon"):
        FrontEnd.load("phonemes", tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "Done", "Done.", "Done -", "Done —", '"Done"', "(Done)", "Done 😀", "Done;", "Done:",
        "Done,", "Done *", "# Done", "- Done", "**Done**", "Done “", "| Done |", "`Done`", "Done–",
        "Done)",
        "Done.)", 'Done."', "Done. 😀", "<b>Done</b>", "> Done", "Done\n---", "[Done](x)",
    ],
)  # fmt: skip
def test_phonemes_end_in_a_full_stop(phonemes: FrontEnd, text: str) -> None:
    assert phonemes(text).text == "dˈʌn."


@pytest.mark.parametrize(
    ("text", "end"), [("Done?", "n?"), ("Done!", "n!"), ("Done…", "n…"), ("Done...", "n…"),
                      ("Done?)", "n?"), ('Done!" 😀', "n!")]
)  # fmt: skip
def test_other_stops_stay(phonemes: FrontEnd, text: str, end: str) -> None:
    assert phonemes(text).text.endswith(end)


def test_a_piece_of_a_cut_sentence_ends_in_a_comma(phonemes: FrontEnd) -> None:
    pieces = split("word " * 100, 250)
    assert [phonemes(piece).text[-1] for piece in pieces] == [",", "."]
    growing = GrowingText(250)
    growing.add("I went to")
    (cut,) = growing.flush()
    assert phonemes(cut).text[-1] == ","
    growing.add(" the sea — Done!")
    (rest,) = growing.flush()
    assert phonemes(rest).text[-1] == "!"


def test_blocks_are_read_one_by_one(phonemes: FrontEnd) -> None:
    text = "# Title\n\n- Red apples\n- Green 😀\n\n```py\nx\n```\n> Hi"
    spoken = phonemes(text)
    alone = ["Title", "Red apples, Green", "Hi"]
    assert spoken.text == " ".join(phonemes(block).text for block in alone)
    assert spoken.skipped == "😀"
    assert [part.reason for part in spoken.left_out] == ["code"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "We need:\n- red apples\n- green beans\n- rice",
            "We need. Red apples, green beans, rice.",
        ),
        ("* red apples\n* rice!\n* tea", "Red apples. Rice! Tea."),
        ("- red apples\n- green, yellow and blue beans\n- tea", None),
        ("- red apples\n- " + "green " * 6 + "beans\n- tea", None),
        ("1. red apples\n2. tea", None),
        ("- red apples\n\nTea", "Red apples. Tea."),
        ("Red apples\n\nTea", "Red apples. Tea."),
        ("- Call the bank. Then go\n- rest", "Call the bank. Then go, rest."),
    ],
)
def test_short_items_end_in_commas(phonemes: FrontEnd, text: str, expected: str | None) -> None:
    spoken = phonemes(text).text
    if expected is None:
        assert "ˈæpᵊlz. " in spoken
    else:
        assert spoken == phonemes(expected).text
    assert FrontEnd("plain")("- red apples\n- tea").text == "red apples. tea."


def test_a_whole_text_sounds_as_it_does_in_pieces(phonemes: FrontEnd) -> None:
    text = "Dr. Lee paid $5.\n\n1. Red\n2. Blue\n\nThe US economy - GIVE US more **now. And** then?"
    growing = GrowingText(250)
    streamed = [piece for char in text for piece in growing.add(char)] + growing.end()
    expected = phonemes(text).text
    for pieces in (streamed, split(text, 250), split(text, 60)):
        assert " ".join(phonemes(piece).text for piece in pieces) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[link](http://x.com)", "link"),
        ("# Title\nSome\ntext\n\n- one\n- two", "Title. Some, text. one. two"),
        ("# Title\nIt has 5\nlines", "Title. It has five, lines"),
        ("1. Pay $5\n2. Go", "one, Pay five dollars. two, Go"),
        ("| Item | Price |\n|---|---|\n| Tea | $5 |", "Item, Price. Tea, five dollars"),
        ("Name | Age\n--- | ---\nTom | 5", "Name, Age. Tom, five"),
        ("Q&amp;A at 5&nbsp;pm", "Q and A at five P M"),
        ("> 90 %", "greater than ninety percent"),
        ("# 5 in line", "number five in line"),
        (r"C:\Users", "C colon backslash Users"),
        ("approx. 5 min.", "approximately five minutes."),
    ],
)
def test_words(text: str, words: str) -> None:
    assert in_words(text) == words


@pytest.mark.parametrize("text", ["```\nls\n```", "<think>Hm", "![](x)", "<!-- a -->", "| |\n|-|"])
def test_text_without_a_reading_is_refused(phonemes: FrontEnd, text: str) -> None:
    with pytest.raises(TextError, match="can be spoken"):
        phonemes(text)
