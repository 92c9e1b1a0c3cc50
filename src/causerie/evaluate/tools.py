"""The models that measure speech: recognizer, speaker encoder and DNSMOS, each loaded at first use.

One `Tools` can serve many evaluations, as during training. Results are cached for the lifetime of
the audio, because several metrics need them.
"""

from __future__ import annotations

from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.data.activity import RATE
from causerie.evaluate.dnsmos import WORST, Dnsmos, Scorer
from causerie.evaluate.speaker import Encoder, Resemblyzer
from causerie.recognition.whisper import Recognizer, Whisper

#: Audio whose peak is below this (-60 dBFS) counts as silence.
AUDIBLE = 1e-3


class Tools:
    """Recognizer, speaker encoder and scorer.

    Args:
        recognizer, encoder, scorer: replace Whisper base, Resemblyzer and DNSMOS.
        threads: number of threads for Whisper; 0 for all.
    """

    def __init__(
        self,
        *,
        recognizer: Recognizer | None = None,
        encoder: Encoder | None = None,
        scorer: Scorer | None = None,
        threads: int = 0,
    ) -> None:
        self._given = (recognizer, encoder, scorer)
        self._threads = threads
        self._transcripts: WeakKeyDictionary[Audio, str] = WeakKeyDictionary()
        self._speakers: WeakKeyDictionary[Audio, NDArray[np.float32] | None] = WeakKeyDictionary()

    @cached_property
    def recognizer(self) -> Recognizer:
        """Returns the words of samples; this and the next two raise ConfigError if missing."""
        if self._given[0]:
            return self._given[0]
        return Whisper(threads=self._threads, extra="evaluate")

    @cached_property
    def encoder(self) -> Encoder:
        """Returns a unit vector that identifies the speaker of audio."""
        return self._given[1] or Resemblyzer()

    @cached_property
    def scorer(self) -> Scorer:
        """Returns mean opinion scores of audio."""
        return self._given[2] or Dnsmos()

    def transcript(self, audio: Audio) -> str:
        """The words of audio; empty for silence."""
        if audio not in self._transcripts:
            words = self.recognizer(audio.resampled(RATE)) if audible(audio) else ""
            self._transcripts[audio] = words
        return self._transcripts[audio]

    def speaker(self, audio: Audio) -> NDArray[np.float32] | None:
        """The vector of the speaker; None if nobody speaks."""
        if audio not in self._speakers:
            self._speakers[audio] = self.encoder(audio) if audible(audio) else None
        return self._speakers[audio]

    def opinion(self, audio: Audio) -> dict[str, float]:
        """Mean opinion scores of audio, 1 to 5; the worst for silence."""
        return self.scorer(audio) if audible(audio) else dict(WORST)


def audible(audio: Audio) -> bool:
    """Whether the audio is not silent."""
    return bool(len(audio.samples)) and float(np.abs(audio.samples).max()) >= AUDIBLE
