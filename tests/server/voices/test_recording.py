"""Uploaded recordings that cannot serve as a voice are refused with the right status."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from causerie.server.errors import ApiError
from causerie.server.voices import recording
from causerie.server.voices.recording import voice_sound

RATE = 24_000
NOISE = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)


def wav(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "status", "code", "message"),
    [
        (b"no audio", 415, "invalid_audio", "recording"),
        (wav(np.tile(NOISE, 2)), 413, "too_large", "longer than 3 s"),
        (wav(NOISE[:RATE]), 400, "invalid_audio", "has 1.0 s of speech: a voice needs 1.5 to 30 s"),
        (wav(np.sign(NOISE)), 400, "invalid_audio", "100 % of its samples are at full scale"),
        (wav(np.zeros_like(NOISE)), 400, "invalid_audio", "silent"),
        (wav(NOISE[:100]), 400, "invalid_audio", "shorter than 50 ms"),
    ],
)
def test_an_unusable_recording_is_refused(
    monkeypatch: pytest.MonkeyPatch, data: bytes, status: int, code: str, message: str
) -> None:
    monkeypatch.setattr(recording, "MAX_RAW_S", 3.0)
    with pytest.raises(ApiError, match=message) as caught:
        voice_sound(data, RATE, "ref_audio")
    error = caught.value
    assert (error.status, error.code, error.param) == (status, code, "ref_audio")


def test_silence_at_the_ends_is_trimmed() -> None:
    silence = np.zeros(RATE, dtype=np.float32)
    found = voice_sound(wav(np.concatenate([silence, NOISE, silence])), RATE)
    assert 2.0 <= len(found.speech) / RATE <= 2.3


def test_a_usable_recording_has_notes() -> None:
    clipped = voice_sound(wav(np.clip(8 * NOISE, -1, 1)), RATE)
    assert "the recording is distorted: 21 % of its samples are at full scale" in clipped.notes()[0]
    assert "the recording has a transcript that is too long: " in clipped.notes("a" * 80)[1]


def test_a_transcript_that_nobody_can_say_is_refused() -> None:
    found = voice_sound(wav(NOISE), RATE)
    with pytest.raises(ApiError, match=r"too long to be said in 2\.0 s") as caught:
        found.notes("a" * 200)
    assert (caught.value.status, caught.value.code) == (400, "invalid_audio")
    assert caught.value.param == "ref_text"
