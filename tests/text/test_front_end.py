"""User text becomes what the tokenizer gets."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import causerie
from causerie.errors import CheckpointError, ConfigError, TextError
from causerie.text.front_end import FrontEnd, Spoken

PETIT = Path(causerie.__file__).parent / "assets" / "petit"


@pytest.fixture(scope="module")
def phonemes() -> FrontEnd:
    return FrontEnd.load("phonemes", PETIT)


def test_plain_text_stays_as_it_is(tmp_path: Path) -> None:
    text = "Call 555-1234 *now* 😀\n"
    assert FrontEnd.load("plain", tmp_path)(text) == Spoken(text=text, skipped="")


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
