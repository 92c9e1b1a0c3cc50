"""The sentences that judge a model are never among those that train it."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from causerie.evaluate.sentences import read_sentences

RECIPE = Path(__file__).parents[2] / "recipes" / "petit"


@pytest.fixture(scope="module")
def everyday() -> ModuleType:
    spec = importlib.util.spec_from_file_location("everyday", RECIPE / "everyday_sentences.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["everyday"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def printed(everyday: ModuleType) -> list[str]:
    return everyday.sentences()


def held_out() -> list[str]:
    return read_sentences()


def for_choices() -> list[str]:
    return read_sentences(RECIPE / "dev_sentences.txt")


def words(sentence: str) -> str:
    return " ".join(re.findall(r"[a-z']+", sentence.lower()))


def test_held_out_sentences_are_a_hundred_different_ones_of_everyday_length() -> None:
    assert len({words(sentence) for sentence in held_out()}) == 100
    for sentence in held_out():
        assert 5 <= len(sentence.split()) <= 14
        assert re.fullmatch(r"[A-Z][A-Za-z', ]+[.?!]", sentence)


def test_no_generated_sentence_contains_a_held_out_one(printed: list[str]) -> None:
    text = "\n".join(f" {words(sentence)} " for sentence in printed)
    kept_aside = held_out() + for_choices()
    assert [sentence for sentence in kept_aside if f" {words(sentence)} " in text] == []


def test_settings_are_chosen_by_other_sentences_than_are_reported() -> None:
    assert {*map(words, for_choices())}.isdisjoint(map(words, held_out()))


def test_generator_is_deterministic_without_digits_or_duplicates(
    everyday: ModuleType, printed: list[str]
) -> None:
    assert printed == everyday.sentences()
    assert len(set(printed)) == len(printed) == 40_000
    assert not re.search(r"[^A-Za-z' ,.:?!]", "".join(printed))


@pytest.mark.parametrize(
    ("phrase", "form", "expected"),
    [
        ("go for a walk", "past", "went for a walk"),
        ("stop the music", "ing", "stopping the music"),
        ("carry the bag", "s", "carries the bag"),
        ("describe it", "ing", "describing it"),
        ("write a letter", "part", "written a letter"),
        ("pair of scissors", "pl", "pairs of scissors"),
        ("bookshelf", "pl", "bookshelves"),
    ],
)
def test_inflection(everyday: ModuleType, phrase: str, form: str, expected: str) -> None:
    assert everyday.inflect(phrase, form) == expected


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        ("a apple", "an apple"),
        ("a hour", "an hour"),
        ("a uniform", "a uniform"),
        ("a uncle", "an uncle"),
    ],
)
def test_articles(everyday: ModuleType, plain: str, expected: str) -> None:
    assert everyday.articles(plain) == expected
