"""An OpenAI-compatible endpoint recognizes speech, and a flag chooses it."""

from __future__ import annotations

import numpy as np
import pytest

from causerie.errors import ConfigError, RecognitionError
from causerie.recognition.choice import chosen_recognizer
from causerie.recognition.endpoint import TranscriptionEndpoint
from causerie.server.settings import Settings
from tests.recognition.transcription_server import Asked, Hears, transcription_server

SPEECH = np.random.default_rng(0).uniform(-1.2, 1.2, 8000).astype(np.float32)


def heard(hears: Hears, path: str = "", key: str | None = None, language: str = "en") -> str:
    with transcription_server(hears) as url:
        return TranscriptionEndpoint(url + path, "whisper-1", key, language=language)(SPEECH)


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/audio/transcriptions"])
def test_it_gets_the_sound_and_gives_the_text(path: str) -> None:
    asked: list[Asked] = []

    def hears(one: Asked) -> str:
        asked.append(one)
        return " Is it far? "

    assert heard(hears, path, key="sk-1") == "Is it far?"
    (one,) = asked
    assert one.fields == {"model": "whisper-1", "response_format": "json", "language": "en"}
    assert one.authorization == "Bearer sk-1"
    assert one.sample_rate == 16_000
    assert np.abs(one.samples - np.clip(SPEECH, -1, 1)).max() < 1.01 / 32768


def test_it_may_detect_the_language() -> None:
    def hears(asked: Asked) -> str:
        assert "language" not in asked.fields
        assert asked.authorization is None
        return "Ist es weit?"

    assert heard(hears, language="auto") == "Ist es weit?"


def test_nothing_is_asked_about_no_sound() -> None:
    assert TranscriptionEndpoint("http://127.0.0.1:9", "m")(SPEECH[:0]) == ""


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (404, '{"error": {"message": "no model m"}}', "answered 404: no model m"),
        (503, "busy", "answered 503: busy"),
        (200, "<html>", "sent no text: '<html>'"),
        (200, '{"text": null}', "sent no text"),
        (200, "[]", "sent no text"),
    ],
)
def test_an_error_is_one_line(status: int, body: str, message: str) -> None:
    with pytest.raises(RecognitionError, match=message):
        heard(lambda _: (status, body))


def test_nobody_there() -> None:
    endpoint = TranscriptionEndpoint("http://127.0.0.1:9", "m")
    with pytest.raises(RecognitionError, match=r"no answer from http://127\.0\.0\.1:9/v1/audio"):
        endpoint(SPEECH)


@pytest.mark.parametrize("url", ["http://", "http://[a", "http://a:b", "127.0.0.1:8000", ""])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigError, match="is no address such as"):
        TranscriptionEndpoint(url, "m")


def test_a_flag_chooses() -> None:
    assert chosen_recognizer("auto") is None
    endpoint = chosen_recognizer("http://127.0.0.1:9", "m", "sk-1")
    assert isinstance(endpoint, TranscriptionEndpoint)
    assert endpoint is chosen_recognizer("http://127.0.0.1:9", "m", "sk-1")
    for name, model in (("http://127.0.0.1:9", ""), ("auto", "m"), ("small.en", "m")):
        with pytest.raises(ConfigError, match="belong together"):
            chosen_recognizer(name, model)
    with pytest.raises(ConfigError, match="a recognizer's key needs its URL"):
        chosen_recognizer("small.en", "", "sk-1")
    with pytest.raises(ConfigError, match="a recognizer's key needs its URL"):
        Settings.load(recognizer_key="sk-1")
