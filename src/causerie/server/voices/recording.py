"""Reads an uploaded recording, trims it to its speech, and checks that it can serve as a voice.

Knows nothing of HTTP except the errors it raises.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from causerie.audio.recording import MAX_CLIPPED, MAX_RAW_S, distorted, examine
from causerie.data.sound import read_sound
from causerie.errors import AudioError
from causerie.extras import need
from causerie.server.errors import ApiError

_transcribing = threading.Lock()


def voice_sound(data: bytes, sample_rate: int, param: str = "audio_sample") -> NDArray[np.float32]:
    """The speech (N,) in a recording, without the silence at its ends.

    Args:
        param: the request field that held the recording, named in errors.

    Raises:
        ApiError: the recording is not audio, silent, clipped, too short or too long.
    """
    try:
        return _speech(data, sample_rate)
    except ApiError as error:
        error.param = param
        raise


def _speech(data: bytes, sample_rate: int) -> NDArray[np.float32]:
    try:
        sound = read_sound(data, sample_rate, max_s=MAX_RAW_S)
    except AudioError as error:
        status, code = (413, "too_large") if "longer" in str(error) else (415, "invalid_audio")
        raise _refused(str(error), status=status, code=code) from error
    # Resampling moves peaks, so clipping is measured in the file.
    clipped = sound.clipped_share(0, sound.duration_s)
    if clipped > MAX_CLIPPED:
        raise _refused(f"the recording {distorted(clipped)}")
    found = examine(sound.samples, sample_rate)
    for fault in found.of("silent", "short", "long"):
        raise _refused(f"the recording {fault.message}")
    return sound.samples[found.start : found.end]


def transcribe(samples: NDArray[np.float32], sample_rate: int, language: str) -> str | None:
    """The words spoken, by the installed speech recognizer; None if none is installed.

    Raises:
        ApiError: no words were recognized.
    """
    from causerie.data.whisper import Whisper, packaged_whisper

    weights = packaged_whisper()
    if weights is None:
        return None
    need("faster_whisper", "data")
    from causerie.audio.resample import resample

    with _transcribing:
        recognizer = Whisper(str(weights), language=language.partition("-")[0] or "en")
        text = recognizer(resample(samples, sample_rate, 16_000, "recording"))
    text = text.strip()
    if not text:
        raise _refused("no words were recognized in the recording: send its transcript as ref_text")
    return text


def _refused(message: str, *, status: int = 400, code: str = "invalid_audio") -> ApiError:
    return ApiError(message, status=status, code=code, param="audio_sample")
