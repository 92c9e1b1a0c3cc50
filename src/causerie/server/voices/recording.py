"""Reads an uploaded recording, trims it to its speech, and checks that it can serve as a voice.

Knows nothing of HTTP except the errors it raises.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causerie.audio.recording import MAX_RAW_S, Examined, Fault, examine
from causerie.data.sound import Sound, read_sound
from causerie.errors import AudioError
from causerie.server.errors import ApiError

#: The recording's name in notes and errors.
NAME = "the recording"


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """A recording that can serve as a voice.

    Attributes:
        speech: (N,), without the silence at the ends.
    """

    speech: NDArray[np.float32]
    examined: Examined

    def notes(self, text: str = "", faults: Iterable[Fault] = ()) -> list[str]:
        """What is wrong with the recording, which is usable all the same.

        Args:
            text: its transcript, if it is known.
            faults: found by others.

        Raises:
            ApiError: nobody can say the transcript in that time.
        """
        try:
            notes = self.examined.with_transcript(text).notes(NAME)
        except AudioError as error:
            raise refused(str(error), param="ref_text") from error
        return notes + [f"{NAME} {fault.message}" for fault in faults]


def voice_sound(data: bytes, sample_rate: int, param: str = "audio_sample") -> Recording:
    """The recording in an uploaded file.

    Args:
        param: the request field that held the recording, named in errors.

    Raises:
        ApiError: the recording is not audio, silent, too short or too long.
    """
    sound = read_upload(data, sample_rate, param)
    examined = examine(sound.samples, sample_rate, clipped_share=sound.clipped_share)
    try:
        examined.notes(NAME)
    except AudioError as error:
        raise refused(str(error), param=param) from error
    speech = sound.samples[examined.start : examined.end].copy()  # the silence need not stay
    return Recording(speech=speech, examined=examined)


def read_upload(data: bytes, sample_rate: int, param: str) -> Sound:
    """The sound in an uploaded file.

    Args:
        param: the request field that held it, named in errors.

    Raises:
        ApiError: it is not audio, or too long.
    """
    try:
        return read_sound(data, sample_rate, max_s=MAX_RAW_S)
    except AudioError as error:
        status, code = (413, "too_large") if "longer" in str(error) else (415, "invalid_audio")
        raise ApiError(str(error), status=status, code=code, param=param) from error


def refused(message: str, *, param: str) -> ApiError:
    """The error for a recording that cannot serve as a voice."""
    return ApiError(message, code="invalid_audio", param=param)
