"""A recognizer in the language of a speaker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from causerie.errors import ConfigError
from causerie.recognition.endpoint import TranscriptionEndpoint
from causerie.recognition.whisper import Whisper, in_language
from tests.recognition.transcription_server import Asked, transcription_server


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
    with pytest.raises(ConfigError, match="the recognizer does not know the language 'tlh'"):
        in_language(whisper, "tlh")


def test_an_endpoint_hears_another_language() -> None:
    asked: list[str] = []

    def hears(one: Asked) -> str:
        asked.append(one.fields["language"])
        return "Ist es weit?"

    with transcription_server(hears) as url:
        endpoint = TranscriptionEndpoint(url, "m")
        for recognizer in (in_language(endpoint, "de-AT"), endpoint):
            assert recognizer(np.zeros(1600, np.float32)) == "Ist es weit?"
    assert asked == ["de", "en"]


def test_other_recognizers_know_their_languages() -> None:
    def recognizer(samples: Any) -> str:
        return "hello"

    assert in_language(recognizer, "de") is recognizer
