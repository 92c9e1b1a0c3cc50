"""The models that judge: recogniser, speaker encoder and opinion scores, each loaded at first use.

One `Tools` may serve many evaluations, as during training. What a tool said of a sound is kept
as long as the sound is, since more than one metric asks.
"""

from __future__ import annotations

from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.evaluate.quality import WORST, Opinion, Scorer
from causerie.evaluate.recogniser import Recogniser, Whisper
from causerie.evaluate.speaker import Encoder, Resemblyzer

#: Sound whose peak is below this (-60 dB of full scale) is silence to all tools.
AUDIBLE = 1e-3


class Tools:
    """What judges sound.

    Args:
        recogniser, encoder, scorer: in place of Whisper base, Resemblyzer and DNSMOS.
        threads: of the processor for Whisper; 0: all.
    """

    def __init__(
        self,
        *,
        recogniser: Recogniser | None = None,
        encoder: Encoder | None = None,
        scorer: Scorer | None = None,
        threads: int = 0,
    ) -> None:
        self._given = (recogniser, encoder, scorer)
        self._threads = threads
        self._heard: WeakKeyDictionary[Audio, str] = WeakKeyDictionary()
        self._speakers: WeakKeyDictionary[Audio, NDArray[np.float32] | None] = WeakKeyDictionary()

    @cached_property
    def recogniser(self) -> Recogniser:
        """Raises ConfigError where it is not installed; so do the two below."""
        return self._given[0] or Whisper(self._threads)

    @cached_property
    def encoder(self) -> Encoder:
        """Sound → a vector of length 1 that tells speakers apart."""
        return self._given[1] or Resemblyzer()

    @cached_property
    def scorer(self) -> Scorer:
        """Sound → mean opinions."""
        return self._given[2] or Opinion()

    def heard(self, audio: Audio) -> str:
        """The words of a sound, none of silence."""
        if audio not in self._heard:
            self._heard[audio] = self.recogniser(audio) if audible(audio) else ""
        return self._heard[audio]

    def speaker(self, audio: Audio) -> NDArray[np.float32] | None:
        """Vector of a sound's speaker; None where nobody speaks."""
        if audio not in self._speakers:
            self._speakers[audio] = self.encoder(audio) if audible(audio) else None
        return self._speakers[audio]

    def opinion(self, audio: Audio) -> dict[str, float]:
        """Mean opinions of a sound, 1 to 5; the worst of silence."""
        return self.scorer(audio) if audible(audio) else dict(WORST)


def audible(audio: Audio) -> bool:
    """Whether there is any sound in it."""
    return bool(len(audio.samples)) and float(np.abs(audio.samples).max()) >= AUDIBLE
