"""A real server, and a speech recognizer that checks what its clients receive."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import jiwer
import numpy as np
import pytest
import soundfile
import torch
from whisper_normalizer.english import EnglishTextNormalizer

from causerie.audio.resample import resample
from causerie.recognition.whisper import Whisper
from tests.clients.assistant import Assistant, answer, question
from tests.server.process import Served, served
from tests.talk.chat_server import chat_server

torch.set_num_threads(1)

#: Spoken by the default voice, whose word error rate is about 1 %.
TEXT = "Good morning to all of you. We will walk along the river today."


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    """A server with a language model; see `assistant`."""
    asked: list[Any] = []
    with (
        chat_server(lambda body: asked.append(body) or answer(body)) as llm,
        served(tmp_path_factory.mktemp("talking"), "--llm", llm, "--llm-model", "m") as running,
    ):
        yield Assistant(running, asked)


@pytest.fixture
def assistant(talking: Assistant) -> Assistant:
    """A server with a language model, which was asked nothing yet."""
    talking.asked.clear()
    return talking


@pytest.fixture(scope="session")
def asked_aloud() -> np.ndarray:
    """The user's question, see `tests.clients.assistant.question`."""
    return question()


@pytest.fixture(scope="session")
def hears() -> Callable[..., None]:
    """Asserts that audio contains a text, with at most one word wrong."""
    whisper, normalize = Whisper(threads=1), EnglishTextNormalizer()

    def check(audio: bytes, text: str = TEXT, *, rate: int | None = None) -> None:
        """Check 16-bit samples of a given rate, or the contents of an audio file."""
        if rate is not None:
            samples = np.frombuffer(audio, "<i2").astype(np.float32) / 32768
        else:
            samples, rate = soundfile.read(io.BytesIO(audio), dtype="float32")
        transcript = whisper(resample(samples, rate, 16_000, "the speech"))
        words = jiwer.process_words(normalize(text), normalize(transcript))
        num_errors = words.substitutions + words.deletions + words.insertions
        assert num_errors <= 1, f"transcript: {transcript!r}"

    return check
