"""A real server, and a speech recognizer that checks what its clients receive."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import jiwer
import numpy as np
import pytest
import soundfile
import torch
from whisper_normalizer.english import EnglishTextNormalizer

from causerie.audio.resample import resample
from causerie.recognition.whisper import Whisper
from tests.server.process import Served, served

torch.set_num_threads(1)

#: Spoken by the default voice, whose word error rate is about 1 %.
TEXT = "Good morning to all of you. We will walk along the river today."


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("server")) as running:
        yield running


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
