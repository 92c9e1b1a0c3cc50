"""Reads an uploaded recording, trims it to its speech, and checks that it can serve as a voice.

Knows nothing of HTTP except the errors it raises.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causerie.data.sound import read_sound
from causerie.errors import AudioError
from causerie.extras import need
from causerie.server.errors import ApiError

#: Seconds of speech in a voice: shorter does not capture the voice, longer fills the context.
MIN_S, MAX_S = 1.5, 30.0
#: Maximum seconds of an upload, before the silence at its ends is trimmed.
MAX_RAW_S = 120.0
#: Maximum share of samples at full scale.
MAX_CLIPPED = 0.01
#: Level of speech relative to the loudest 50 ms; seconds to keep around the speech.
SPEECH_LEVEL, MARGIN_S = 0.03, 0.1
#: RMS of the loudest 50 ms below which a recording counts as silent.
SILENCE = 0.003

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
    clipped = sound.clipped_share(0, sound.duration_s)
    if clipped > MAX_CLIPPED:
        raise _refused(
            f"the recording is distorted: {100 * clipped:.0f} % of its samples are at full scale; "
            f"record it again at a lower level"
        )
    samples = _trimmed(sound.samples, sample_rate)
    seconds = len(samples) / sample_rate
    if not MIN_S <= seconds <= MAX_S:
        raise _refused(
            f"the recording has {seconds:.1f} s of speech: a voice needs {MIN_S:g} to {MAX_S:g} s"
        )
    return samples


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


def _trimmed(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    window = sample_rate // 20
    num_windows = len(samples) // window
    if num_windows == 0:
        raise _refused("the recording is shorter than 50 ms")
    windows = samples[: num_windows * window].reshape(num_windows, window)
    level: NDArray[Any] = np.sqrt(np.mean(np.square(windows), axis=1))
    if level.max() < SILENCE:
        raise _refused("the recording is silent: check the microphone")
    loud = np.flatnonzero(level >= SPEECH_LEVEL * level.max())
    margin = round(MARGIN_S * sample_rate)
    start = max(0, loud[0] * window - margin)
    return samples[start : (loud[-1] + 1) * window + margin]


def _refused(message: str, *, status: int = 400, code: str = "invalid_audio") -> ApiError:
    return ApiError(message, status=status, code=code, param="audio_sample")
