"""Checks the words of a recorded consent, and that its speaker is that of the copied recording.

A recognizer hears whether a sentence of consent is said, and a speaker encoder whether two
recordings have the same speaker. Both are optional; without them a consent is only a recording.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.audio.recording import MAX_RAW_S
from causerie.audio.resample import resample
from causerie.data.activity import RATE
from causerie.data.sound import read_sound
from causerie.evaluate.speaker import Encoder, installed_encoder
from causerie.recognition.whisper import packaged_recognizer
from causerie.recognition.words import compare
from causerie.server.errors import ApiError
from causerie.server.settings import Settings
from causerie.server.voices.consents import Consents
from causerie.server.voices.recording import Recording, read_upload

#: What a person says to consent: our sentence, and OpenAI's, whose clients record it.
SENTENCE = "I am the owner of this voice and I consent to its use to make synthetic speech."
_OPENAI = (
    "I am the owner of this voice and I consent to OpenAI using this voice to create a synthetic "
    "voice model."
)
#: Share of its words that may be wrong; a recognizer mishears some.
MAX_WER = 0.35
#: Cosine of the speakers of two recordings above which they are the same person.
MIN_SIMILARITY = 0.75
#: Pairs of a consent and a recording that were checked.
MAX_CHECKED = 256


class ConsentChecker:
    """The checks of one server."""

    def __init__(self, consents: Consents, settings: Settings) -> None:
        self._consents, self._settings = consents, settings
        self._checked: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    def check_words(self, recording: Recording, sample_rate: int, language: str) -> None:
        """Check that a recording says a sentence of consent, in a language that is understood.

        Raises:
            ApiError: it says something else.
        """
        if self._settings.transcribe == "off" or not re.match("en([-_]|$)", language.lower()):
            return
        recognizer = packaged_recognizer("en")
        if recognizer is None:
            return
        heard = recognizer(resample(recording.speech, sample_rate, RATE)).strip()
        if min(compare([text], [heard]).wer for text in (SENTENCE, _OPENAI)) > MAX_WER:
            raise ApiError(
                f'the recording does not say that its speaker consents, but "{heard[:200]}": they '
                f'must read "{SENTENCE}"',
                code="invalid_consent",
                param="recording",
            )

    def check_speaker(self, id: str, file: bytes, param: str) -> None:
        """Check that the speaker of a recording is the one who consented.

        Args:
            id: of a consent that exists.
            file: the recording.
            param: the request field that held it.

        Raises:
            ApiError: it is the consent itself, has another speaker, or is no sound.
        """
        key = id, hashlib.blake2b(file, digest_size=16).digest()
        if key in self._checked:
            return
        consent = self._consents.recording(id)
        ours = read_sound(consent, RATE, max_s=MAX_RAW_S).samples
        theirs = read_upload(file, RATE, param).samples
        if consent == file or np.array_equal(ours, theirs):
            raise ApiError(
                "the recording is that of the consent itself: a voice needs another one",
                code="consent_is_the_recording",
                param=param,
            )
        encoder = _encoder()
        if encoder is not None:
            similarity = _similarity(encoder, ours, theirs)
            if similarity is not None and similarity < MIN_SIMILARITY:
                raise ApiError(
                    f"the recording has another speaker than the consent: their similarity is "
                    f"{similarity:.2f}, {MIN_SIMILARITY:g} is needed",
                    code="consent_of_another_speaker",
                    param=param,
                )
        self._checked[key] = None
        while len(self._checked) > MAX_CHECKED:
            self._checked.popitem(last=False)


@functools.cache
def _encoder() -> Encoder | None:
    return installed_encoder()


def _similarity(
    encoder: Encoder, one: NDArray[np.float32], other: NDArray[np.float32]
) -> float | None:
    """The cosine of two speakers; None if there is too little speech to tell."""
    vectors = [encoder(Audio(samples=samples, sample_rate=RATE)) for samples in (one, other)]
    if vectors[0] is None or vectors[1] is None:
        return None
    return float(vectors[0] @ vectors[1])
