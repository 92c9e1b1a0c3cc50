"""Training of a whole codec: encoder, codebooks and decoder at once, resumable to the bit.

The decoder's losses reach the encoder through the quantizer's straight-through gradients, so codes
come to hold what the decoder needs to be understood. The encoder's own two heads stay. A run
usually begins with what `encoder_phase` has learned, which is faster by far at the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from causerie.codec.mimi import Mimi
from causerie.config import MimiConfig
from causerie.train.codec.aligned_speech import SpeechFolder
from causerie.train.codec.decoder import DecoderPhase, DecoderRecipe
from causerie.train.codec.encoder import PHONES_A_FRAME, EncoderPhase, EncoderRecipe, new_codec
from causerie.train.codec.phone_recognizer import PhoneRecognizer
from causerie.train.codec.windows import train_on_windows
from causerie.train.loop import OnStep


@dataclass(frozen=True, kw_only=True)
class CodecRecipe(EncoderRecipe, DecoderRecipe):
    """Everything a run depends on, beside the data and the recogniser."""

    batch: int = 8
    lr: float = 8e-4
    betas: tuple[float, float] = (0.8, 0.99)
    quantize_from: int = 0
    dropout: float = 0.25
    spectrum_weight: float = 0.5
    seed: int = 2


class CodecPhase:
    """One step of the training."""

    def __init__(
        self, codec: Mimi, recognizer: PhoneRecognizer, recipe: CodecRecipe, *, ready: bool
    ) -> None:
        self.codec = codec
        self.encoder = EncoderPhase(codec, recipe, ready=ready)
        self.decoder = DecoderPhase(codec, recognizer, recipe)
        self.parameters = [*self.encoder.parameters, *self.decoder.parameters]
        self.modules: dict[str, nn.Module] = self.encoder.modules | self.decoder.modules

    def __call__(
        self, step: int, pcm: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        coding, numbers, latent = self.encoder.quantize(step, pcm, labels, generator)
        sound, sound_numbers = self.decoder.judge(step, latent, pcm, generator)
        return coding + sound, numbers | sound_numbers

    def extra_state(self) -> dict[str, Any]:
        return self.encoder.extra_state() | self.decoder.extra_state()

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.encoder.load_extra_state(state)
        self.decoder.load_extra_state(state)


def train_codec(
    config: MimiConfig,
    recipe: CodecRecipe,
    data: Path,
    recognizer: PhoneRecognizer,
    out: Path,
    *,
    start_from: Mapping[str, dict[str, Tensor]] | None = None,
    on_step: OnStep | None = None,
    allow_changes: bool = False,
) -> Mimi:
    """Train until ``recipe.steps``, resuming from ``out/state.pt`` where it exists.

    Args:
        start_from: weights of "codec", with trained codebooks, and perhaps of "heads", as a state
            file of `encoder_phase` holds them; what they lack starts afresh.
        on_step: called after every step with its number and losses.
        allow_changes: go on though the recipe has changed.
    """
    codec = new_codec(config, recipe.seed, None if start_from is None else start_from["codec"])
    phase = CodecPhase(codec, recognizer, recipe, ready=start_from is not None)
    if start_from is not None and "heads" in start_from:
        phase.encoder.heads.load_state_dict(start_from["heads"])
    train_on_windows(
        phase,
        recipe,
        SpeechFolder(data, config.sample_rate),
        out,
        num_samples=recipe.window_frames * config.frame_size,
        label_rate=config.frame_rate * PHONES_A_FRAME,
        on_step=on_step,
        allow_changes=allow_changes,
    )
    return codec


def finished(state: Path) -> dict[str, Tensor]:
    """The codec's weights in a state file, ready for use.

    Code 0 of codebook 0 becomes its rarest: the frame of zeros ends a segment, so it should not
    be a sound.
    """
    found = torch.load(state, weights_only=True)
    codec: dict[str, Tensor] = found["modules"]["codec"]
    rarest = int(found["extra"]["semantic"]["usage"][0].argmin())
    semantic = codec["quantizer.semantic.centroids"][0]
    semantic[[0, rarest]] = semantic[[rarest, 0]]
    return codec
