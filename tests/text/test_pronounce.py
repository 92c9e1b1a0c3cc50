"""Words become phonemes."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from causerie.errors import CheckpointError
from causerie.text.abbreviations import _STATES
from causerie.text.capitals import _ACRONYMS
from causerie.text.money import _CURRENCY
from causerie.text.normalize import _SYMBOLS
from causerie.text.pronounce import Lexicon, spell
from causerie.text.units import UNITS, many
from causerie.voice_file import BUNDLED

ENTRIES = {
    "cat": "kˈæt", "dish": "dˈɪʃ", "puppy": "pˈʌpi", "stop": "stˈɑp", "bake": "bˈAk",
    "need": "nˈid", "apple": "ˈæpᵊl", "nasa": "nˈæsə", "cafe": "kæfˈA", "go": "ɡˈO",
}  # fmt: skip


@pytest.fixture
def lexicon() -> Lexicon:
    return Lexicon(ENTRIES)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("cats", "kˈæts"),
        ("cat's", "kˈæts"),
        ("dishes", "dˈɪʃᵻz"),
        ("puppies", "pˈʌpiz"),
        ("stopped", "stˈɑpt"),
        ("stopping", "stˈɑpɪŋ"),
        ("baked", "bˈAkt"),
        ("baking", "bˈAkɪŋ"),
        ("needed", "nˈidᵻd"),
    ],
)
def test_regular_inflections_follow_their_stem(lexicon: Lexicon, word: str, expected: str) -> None:
    assert lexicon.word(word) == expected


def test_unknown_words_are_spelled_in_an_alphabet_of_their_own(lexicon: Lexicon) -> None:
    assert lexicon.word("zorb") == "ｚｏｒｂ" == spell("Zorb")
    assert lexicon.word("zorb's") == "ｚｏｒｂｓ"


def test_capitals_are_a_word_if_known_and_letters_if_not(lexicon: Lexicon) -> None:
    assert lexicon.word("NASA") == "nˈæsə"
    assert lexicon.word("FBI") == "ˌɛfbˌiˈI"
    assert lexicon.word("b") == "bˈi"


def test_weak_forms_depend_on_the_next_sound(lexicon: Lexicon) -> None:
    assert lexicon.read("the apple, the cat").phonemes == "ði ˈæpᵊl, ðə kˈæt"
    assert lexicon.read("go to. Go to cat").phonemes == "ɡˈO tu. ɡˈO tə kˈæt"


def test_capital_a_inside_a_sentence_is_the_letter(lexicon: Lexicon) -> None:
    assert lexicon.read("A cat").phonemes == "ɐ kˈæt"
    assert lexicon.read("cat A needed").phonemes == "kˈæt ˈA nˈidᵻd"
    assert lexicon.read("NASA A CAT").phonemes == "nˈæsə ɐ kˈæt"


def test_a_prefix_with_a_hyphen_keeps_its_sound() -> None:
    bundled = Lexicon.load(BUNDLED / "lexicon.txt.gz")
    assert bundled.read("We re-enter.").phonemes == "wi ɹˌiˈɛntəɹ."


def test_letters_apart_are_one_initialism(lexicon: Lexicon) -> None:
    assert lexicon.read("F B I, A T M's").phonemes == "ˌɛfbˌiˈI, ˌAtˌiˈɛmz"
    assert lexicon.read("a C cat").phonemes == "ɐ sˈi kˈæt"


def test_punctuation_accents_and_what_cannot_be_read(lexicon: Lexicon) -> None:
    reading = lexicon.read("Café — “cat” (puppy) … 猫?! 😀")
    assert reading.phonemes == "kæfˈA— kˈæt, pˈʌpi,"
    assert reading.unread == "猫😀"


def test_a_damaged_lexicon_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "lexicon.txt.gz"
    path.write_bytes(b"no gzip")
    with pytest.raises(CheckpointError, match="no readable lexicon"):
        Lexicon.load(path)
    path.write_bytes(gzip.compress(b"cat\nk"))
    with pytest.raises(CheckpointError, match="word<TAB>phonemes"):
        Lexicon.load(path)
    path.write_bytes(gzip.compress("cat\tkˈæt\ndog\tdˈɔɡ\n".encode()))
    assert Lexicon.load(path).entries == {"cat": "kˈæt", "dog": "dˈɔɡ"}
    path.write_bytes(gzip.compress("dog\tdˈɔɡ\ncat\tkˈæt\n".encode()))
    with pytest.raises(CheckpointError, match="not sorted by word"):
        Lexicon.load(path)


def test_the_bundled_lexicon_has_the_words_that_the_rules_write() -> None:
    names = [*UNITS.values(), *map(many, UNITS.values())]
    names += [many(name) for currency in _CURRENCY.values() for name in currency if name]
    names += [*_SYMBOLS.values(), *_STATES.values(), *_ACRONYMS]
    bundled = Lexicon.load(BUNDLED / "lexicon.txt.gz")
    words = {word.lower() for name in names for word in name.split()}
    assert not {word for word in words if len(word) > 1 and not bundled.knows(word)}


def test_words_of_the_bundled_lexicon_are_found() -> None:
    path = BUNDLED / "lexicon.txt.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    expected = dict(line.split("\t") for line in lines)
    entries = Lexicon.load(path).entries
    assert list(entries) == list(expected)
    for word in [*list(expected)[::20], min(expected), max(expected)]:
        assert entries[word] == expected[word]
    for unknown in ("", "'", "aaaaaa", "zzzzzz", "ａ", "cat\tk", "cat\n"):
        assert unknown not in entries


@pytest.mark.parametrize(
    ("name", "phonemes"),
    [
        ("Sophia", "sOfˈiə"),
        ("Ethan", "ˈiθᵊn"),
        ("Garcia", "ɡˌɑɹsˈiə"),
        ("Lopez", "lˈOpɛz"),
        ("Harris", "hˈɛɹɪs"),
        ("Microsoft", "mˈIkɹˌOsˈɔft"),
        ("Toyota", "tOjˈOTə"),
        ("Wikipedia's", "wˈɪkipˌidˌiəz"),
        ("Steinmeyer", "stˈInmIəɹ"),
    ],
)
def test_names_are_known(name: str, phonemes: str) -> None:
    assert Lexicon.load(BUNDLED / "lexicon.txt.gz").word(name) == phonemes


@pytest.mark.parametrize(
    ("written", "phonemes"),
    [
        ("O'Brien's friends met D'Angelo.", "ObɹˈIɪnz fɹˈɛndz mˈɛt dˈænʤəlO."),
        ("Nobody'd say who'd've gone; should've.", "nˈObˌɑdid sˈA hˌudᵊv ɡɔn; ʃˌʊdᵊv."),
        ("Sooo goood, I looove it.", "sˌO ɡˈʊd, ˌI lˈʌv ɪt."),
        ("Gooo! Moreee!", "ɡˌO! mˈɔɹ!"),
        ("Lookin' and runnin'.", "lˈʊkɪn ænd ɹˈʌnɪn."),
    ],
)
def test_contractions_and_informal_spellings_are_known(written: str, phonemes: str) -> None:
    assert Lexicon.load(BUNDLED / "lexicon.txt.gz").read(written).phonemes == phonemes
