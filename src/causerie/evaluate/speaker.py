"""Encodes speakers by Resemblyzer: audio to a vector of 256 numbers. Its package has the weights.

It imports `webrtcvad`, whose only release needs a compiler and a module that setuptools 81 removed.
webrtcvad-wheels provides the same module without either, so Resemblyzer is installed without its
dependencies, which the extra `evaluate` lists.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.errors import ConfigError
from causerie.extras import need

#: Returns the unit vector (256,) of a speaker; None if there is no speech.
Encoder: TypeAlias = Callable[[Audio], "NDArray[np.float32] | None"]

SAMPLE_RATE = 16_000
#: Least speech that identifies a speaker.
MIN_SPEECH_S = 0.3
INSTALL = "pip install --no-deps Resemblyzer==0.1.4"


class Resemblyzer:
    """The encoder, on the CPU.

    Raises:
        ConfigError: Resemblyzer is not installed.
    """

    def __init__(self) -> None:
        with warnings.catch_warnings():
            # it imports a SciPy function from a place that works until SciPy 2
            warnings.filterwarnings("ignore", "Please import `binary_dilation`", DeprecationWarning)
            self.package = need("resemblyzer", "evaluate", also=INSTALL)
        self.model = self.package.VoiceEncoder("cpu", verbose=False)

    def __call__(self, audio: Audio) -> NDArray[np.float32] | None:
        """The vector of audio that is not silent."""
        speech = self.package.preprocess_wav(audio.resampled(SAMPLE_RATE))
        if len(speech) < MIN_SPEECH_S * SAMPLE_RATE:
            return None
        vector: NDArray[np.float32] = self.model.embed_utterance(speech)
        return vector


def installed_encoder() -> Encoder | None:
    """Resemblyzer; None if it is not installed."""
    try:
        return Resemblyzer()
    except ConfigError:
        return None
