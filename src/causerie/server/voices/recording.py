"""A recording that somebody sent, as the sound of a voice: read, cut to its speech, and checked.

Knows nothing of HTTP but the errors that it is told by.
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

#: Speech of a voice, in seconds: less says too little, more takes the model's context.
MIN_S, MAX_S = 1.5, 30.0
#: Of a recording as sent: silence at its ends is cut off.
MAX_RAW_S = 120.0
#: Of samples that are at full scale.
MAX_CLIPPED = 0.01
#: Louder than so much of the loudest 50 ms is speech; kept around it, in seconds.
SPEECH_LEVEL, MARGIN_S = 0.03, 0.1
#: RMS of the loudest 50 ms, below which there is nothing to hear.
SILENCE = 0.003

_transcribing = threading.Lock()


def voice_sound(data: bytes, sample_rate: int, param: str = "audio_sample") -> NDArray[np.float32]:
    """The speech (N,) of a recording, without the silence at its ends.

    Args:
        param: the field that it came in.

    Raises:
        ApiError: it is no sound, silent, clipped, too short or too long.
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
            f"{100 * clipped:.0f} % of the recording are at full scale, so that it is distorted: "
            f"record it softer"
        )
    samples = _trimmed(sound.samples, sample_rate)
    seconds = len(samples) / sample_rate
    if not MIN_S <= seconds <= MAX_S:
        raise _refused(
            f"the recording holds {seconds:.1f} s of speech: a voice needs {MIN_S:g} to {MAX_S:g} s"
        )
    return samples


def transcribe(samples: NDArray[np.float32], sample_rate: int, language: str) -> str | None:
    """What is said, by a recogniser that is installed with its weights; None where none is.

    Raises:
        ApiError: nothing was understood.
    """
    from causerie.data.whisper import Whisper, packaged_whisper

    weights = packaged_whisper()
    if weights is None:
        return None
    need("faster_whisper", "data")
    from causerie.audio.resample import resample

    with _transcribing:
        heard = Whisper(str(weights), language=language.partition("-")[0] or "en")
        text = heard(resample(samples, sample_rate, 16_000, "recording"))
    text = text.strip()
    if not text:
        raise _refused("no words were understood in the recording: send what it says as ref_text")
    return text


def _trimmed(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    tick = sample_rate // 20
    num_ticks = len(samples) // tick
    if num_ticks == 0:
        raise _refused("the recording is shorter than a twentieth of a second")
    ticks = samples[: num_ticks * tick].reshape(num_ticks, tick)
    level: NDArray[Any] = np.sqrt(np.mean(np.square(ticks), axis=1))
    if level.max() < SILENCE:
        raise _refused("the recording is silent: check the microphone")
    loud = np.flatnonzero(level >= SPEECH_LEVEL * level.max())
    margin = round(MARGIN_S * sample_rate)
    start = max(0, loud[0] * tick - margin)
    return samples[start : (loud[-1] + 1) * tick + margin]


def _refused(message: str, *, status: int = 400, code: str = "invalid_audio") -> ApiError:
    return ApiError(message, status=status, code=code, param="audio_sample")
