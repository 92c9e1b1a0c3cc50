"""Resemblyzer: sound → a vector of 256 numbers that tells speakers apart. Weights in its package.

It imports `webrtcvad`, whose only release needs a compiler and a module that setuptools 81
dropped. webrtcvad-wheels is the same detector under the same name without either, so Resemblyzer
is installed without its dependencies, which the extra `evaluate` names itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.extras import need

#: Vector (256,) of length 1 of a sound's speaker; None where no speech is found.
Encoder: TypeAlias = Callable[[Audio], "NDArray[np.float32] | None"]

SAMPLE_RATE = 16_000
#: Less speech than this tells nothing of a speaker.
MIN_SPEECH_S = 0.3
INSTALL = "pip install --no-deps Resemblyzer==0.1.4"


class Resemblyzer:
    """The encoder, on the processor.

    Raises:
        ConfigError: it is not installed.
    """

    def __init__(self) -> None:
        with warnings.catch_warnings():
            # it asks SciPy for a function by its former place, which is there until SciPy 2
            warnings.filterwarnings("ignore", "Please import `binary_dilation`", DeprecationWarning)
            self.package = need("resemblyzer", "evaluate", also=INSTALL)
        self.model = self.package.VoiceEncoder("cpu", verbose=False)

    def __call__(self, audio: Audio) -> NDArray[np.float32] | None:
        """The vector of a sound that is not silent."""
        speech = self.package.preprocess_wav(audio.resampled(SAMPLE_RATE))
        if len(speech) < MIN_SPEECH_S * SAMPLE_RATE:
            return None
        vector: NDArray[np.float32] = self.model.embed_utterance(speech)
        return vector
