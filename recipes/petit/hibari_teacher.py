"""The first teacher: hibari-tts (Apache-2.0) with its voice "heart" and its own alignment.

Phonemes in, a waveform at 24 kHz out.
"""

from __future__ import annotations

import json
from pathlib import Path

import hibari
import numpy as np
import onnx
import onnxruntime
from hibari import dsp

DURATIONS = "/ReduceSum_1_output_0"  # graph node with the durations


class Teacher:
    """Phonemes → waveform and durations, on one thread."""

    def __init__(self) -> None:
        assets = Path(hibari.__file__).parent / "assets"
        graph = onnx.load(str(assets / "hibari.onnx"))
        graph.graph.output.append(
            onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.INT64, None)
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(graph.SerializeToString(), options)
        self.vocab = json.loads((assets / "vocab.json").read_text("utf-8"))

    def __call__(
        self, phonemes: str, seed: int, speed: float = 1.0
    ) -> tuple[np.ndarray, list[int]]:
        """A waveform (N,), and the index of the symbol spoken in each 25 ms step.

        The symbols are the phonemes with a silence on each side.
        """
        ids = [0, *(self.vocab[symbol] for symbol in phonemes), 0]
        *parts, durations = self.session.run(
            None, {"ids": np.asarray([ids]), "speed": np.full(1, speed, np.float32)}
        )
        wave = dsp.synth(*(part[0] for part in parts), np.random.default_rng(seed))
        return wave, durations.ravel().tolist()
