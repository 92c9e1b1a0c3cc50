"""A recognizer in the language of a speaker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from causerie.errors import ConfigError
from causerie.recognition.whisper import Whisper, in_language


@pytest.fixture
def whisper() -> Whisper:
    """A Whisper without weights."""
    made: Any = object.__new__(Whisper)
    made.language, made.model = "en", SimpleNamespace(supported_languages=["de", "en"])
    return made


@pytest.mark.parametrize(("language", "expected"), [("de", "de"), ("DE-at", "de"), ("en", "en")])
def test_whisper_hears_another_language(whisper: Whisper, language: str, expected: str) -> None:
    other: Any = in_language(whisper, language)
    assert isinstance(other, Whisper)
    assert other.language == expected
    assert other.model is whisper.model
    quick: Any = in_language(whisper.quick, language)
    assert (quick.__name__, quick.__self__.language) == ("quick", expected)
    assert whisper.language == "en"


def test_without_a_language_it_stays(whisper: Whisper) -> None:
    assert in_language(whisper, None) is whisper


def test_an_unknown_language_is_told(whisper: Whisper) -> None:
    with pytest.raises(ConfigError, match="does not know the language 'tlh'"):
        in_language(whisper, "tlh")


def test_other_recognizers_know_their_languages() -> None:
    def recognizer(samples: Any) -> str:
        return "hello"

    assert in_language(recognizer, "de") is recognizer
