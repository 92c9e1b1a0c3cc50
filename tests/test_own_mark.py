"""Own speech is told from recordings of people by its mark, or by another one that stands in."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from causerie.errors import AudioError
from causerie.own_mark import WINDOW_S, has_own_mark
from causerie.tts import TTS
from tests.server.running import petit
from tests.standin_mark import marked, stand_in

RATE = 8_000


@pytest.fixture
def another_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)


def speech(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


def wav(*parts: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.concatenate(parts), RATE, format="WAV")
    return buffer.getvalue()


def test_speech_of_causerie_is_told_from_other_speech() -> None:
    tts = petit()
    plain = TTS(tts.checkpoint, engine=tts.engine, watermark=False)
    text = "The meeting begins at nine, and the train leaves early."
    assert has_own_mark(tts.generate(text, seed=1).to_bytes())
    assert not has_own_mark(plain.generate(text, seed=1).to_bytes())


@pytest.mark.usefixtures("another_mark")
@pytest.mark.parametrize("seconds", [0.5, WINDOW_S, 2 * WINDOW_S, 31.0])
def test_all_of_a_recording_is_marked_or_nothing(seconds: float) -> None:
    assert has_own_mark(wav(marked(speech(seconds))))
    assert not has_own_mark(wav(speech(seconds)))


@pytest.mark.usefixtures("another_mark")
@pytest.mark.parametrize("before", [0.0, 0.7, 1.9, 9.4, 12.0])
def test_speech_of_people_beside_marked_speech_is_found(before: float) -> None:
    theirs, after = speech(1.5 * WINDOW_S), 12 - before
    assert not has_own_mark(wav(marked(speech(before)), theirs, marked(speech(after))))


@pytest.mark.usefixtures("another_mark")
def test_a_recording_is_read_to_its_first_part_without_the_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(speech(12), marked(speech(12))))
    assert not has_own_mark(path, max_s=11)
    path.write_bytes(wav(marked(speech(24))))
    with pytest.raises(AudioError, match="longer than"):
        has_own_mark(path, max_s=11)


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"none\.wav does not exist"):
        has_own_mark(tmp_path / "none.wav")
    with pytest.raises(AudioError, match="the recording cannot be read as sound"):
        has_own_mark(b"hello")
