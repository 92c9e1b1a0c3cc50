"""The bundled model speaks: in time, to the end, and the same by both ways."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from causerie import TTS

SENTENCE = "The quick ship sailed past the old harbor."


@pytest.fixture(scope="module")
def petit() -> TTS:
    return TTS.from_pretrained(device="cpu")


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_speaks_a_sentence_in_time_and_stops_by_itself(petit: TTS) -> None:
    petit.generate("Hello.", seed=0)  # the first call pays for torch's own start
    started = time.process_time()  # of this process alone: what else the machine does is no matter
    audio = petit.generate(SENTENCE, seed=0)
    spent = time.process_time() - started
    assert audio.stopped == "end"
    assert 1.5 < audio.duration_s < 6.0
    assert spent / audio.duration_s < 0.5
    assert np.isfinite(audio.samples).all()
    loudness = np.sqrt(np.mean(audio.samples**2))
    assert 0.01 < loudness < 0.5
    assert not [note for note in audio.notes if note.startswith(("stopped", "skipped"))]


def test_most_sentences_end_by_themselves(petit: TTS) -> None:
    ended = [petit.generate(SENTENCE, seed=seed).stopped == "end" for seed in range(5)]
    assert sum(ended) >= 4


def test_six_voices_speak(petit: TTS) -> None:
    assert petit.voices == ["bruno", "clara", "heart", "mia", "nadia", "oscar", "ruth", "theo"]
    for voice in petit.voices:
        audio = petit.generate(SENTENCE, voice=voice, seed=0)
        assert audio.stopped == "end", voice
        assert 1.5 < audio.duration_s < 6.0, voice


def test_stream_equals_generate(petit: TTS) -> None:
    pieces = list(petit.stream(SENTENCE, seed=1))
    assert len(pieces[0]) == 1_920
    assert np.array_equal(np.concatenate(pieces), petit.generate(SENTENCE, seed=1).samples)


def test_reads_numbers_and_says_what_it_cannot_read(petit: TTS) -> None:
    audio = petit.generate("It costs $3.50 at 10:30, 世界.", seed=0)
    assert audio.duration_s > 1.5
    assert [note for note in audio.notes if note.startswith("skipped")] == [
        "skipped: cannot read '世界'"
    ]
