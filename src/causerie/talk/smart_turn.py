"""The probability that a speaker has finished, from how it sounds: the model smart-turn of pipecat.

Its weights are in the package pipecat-ai. Knows no turns.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from causerie.errors import ConfigError
from causerie.extras import need
from causerie.talk.activity import RATE

#: The sound that the model sees, in seconds.
SEEN_S = 8
#: Keeps the features of digital silence finite.
_MIN_VARIANCE = 1e-7
#: Where pipecat-ai has the weights; v3.2 there, by 1.14.
_FOLDER, _NAME = Path("audio", "turn", "smart_turn", "data"), "smart-turn-v3.*cpu.onnx"


class SmartTurn:
    """smart-turn v3, on one thread of the CPU. Any number of threads may call it.

    Args:
        weights: in the format ONNX.

    Raises:
        ConfigError: a package of the extra `talk` is missing, or the file is no such model.
    """

    def __init__(self, weights: Path) -> None:
        runtime = need("onnxruntime", "talk")
        extractor = need("faster_whisper.feature_extractor", "talk").FeatureExtractor
        self._extract = extractor(chunk_length=SEEN_S)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session = runtime.InferenceSession(
                str(weights), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no common base
            raise ConfigError(f"{weights} is no model of the end of turns: {error}") from error
        names = [one.name for one in self._session.get_inputs()]
        if names != ["input_features"]:
            raise ConfigError(f"{weights} is no smart-turn v3: its inputs are {', '.join(names)}")

    def __call__(self, speech: NDArray[np.float32]) -> float:
        """The probability, from the samples (N,) of a turn at 16 kHz up to a pause."""
        (found,) = self._session.run(None, {"input_features": self.features(speech)[None]})
        return float(np.squeeze(found))

    def features(self, speech: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the model sees (80, 800): Whisper's features of the latest 8 s.

        Shorter speech has zeros before it. The mean of all is 0, and its variance 1.
        """
        size = SEEN_S * RATE
        speech = np.pad(speech[-size:], (max(0, size - len(speech)), 0))
        speech = (speech - speech.mean()) / np.sqrt(speech.var() + _MIN_VARIANCE)
        features: NDArray[np.float32] = self._extract(speech, padding=0)
        return features


def find_smart_turn(file: str = "") -> SmartTurn | None:
    """The model, from a file or from the package pipecat-ai; None without both.

    Does not import pipecat, which takes seconds.

    Raises:
        ConfigError: as `SmartTurn`.
    """
    if file:
        return SmartTurn(Path(file))
    package = importlib.util.find_spec("pipecat")
    folders = (package.submodule_search_locations if package is not None else None) or ()
    found = [path for folder in folders for path in (Path(folder) / _FOLDER).glob(_NAME)]
    return SmartTurn(max(found)) if found else None
