"""A real server, and somebody who listens to what its clients were given."""

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
from causerie.data.whisper import Whisper
from tests.server.process import Served, served

torch.set_num_threads(1)

#: Said by the default voice, which is misheard in one word of a hundred.
TEXT = "Good morning to all of you. We will walk along the river today."


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def hears() -> Callable[..., None]:
    """Asserts that sound says a text, but for one word at most."""
    whisper, normalize = Whisper(threads=1), EnglishTextNormalizer()

    def check(sound: bytes, text: str = TEXT, *, rate: int | None = None) -> None:
        """Sound is 16-bit samples of a rate, or else a file."""
        if rate is not None:
            samples = np.frombuffer(sound, "<i2").astype(np.float32) / 32768
        else:
            samples, rate = soundfile.read(io.BytesIO(sound), dtype="float32")
        heard = whisper(resample(samples, rate, 16_000, "what was heard"))
        wrong = jiwer.process_words(normalize(text), normalize(heard))
        mistakes = wrong.substitutions + wrong.deletions + wrong.insertions
        assert mistakes <= 1, f"heard {heard!r}"

    return check
