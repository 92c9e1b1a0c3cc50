"""Trains a whole codec: encoder, codebooks and Mimi's decoder together.

The decoded waveform is compared with the original by multi-scale mel distances, and by the features
and logits of a phone recognizer (see `phone_recognizer`). These losses reach the encoder through
the quantizer's straight-through gradients, so codes learn to carry what intelligible speech needs.
The two heads of the encoder phase stay. A run usually starts from the weights of the encoder phase,
which learns much faster at first. The decoder serves this training only: a source-filter decoder of
the same codes sounds better (see `source_filter`).
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
from causerie.train import spectral_losses
from causerie.train.loop import OnStep
from codec_training.aligned_speech import SpeechFolder
from codec_training.encoder import PHONES_PER_FRAME, EncoderPhase, EncoderRecipe, new_codec
from codec_training.phone_recognizer import PhoneRecognizer, recognizer_distance
from codec_training.windows import train_on_windows


@dataclass(frozen=True, kw_only=True)
class CodecRecipe(EncoderRecipe):
    """Everything a run depends on, apart from the data and the recognizer.

    Attributes:
        feature_distance_weight, phone_divergence_weight: of the two recognizer losses.
    """

    batch: int = 8
    lr: float = 8e-4
    betas: tuple[float, float] = (0.8, 0.99)
    quantize_from: int = 0
    dropout: float = 0.25
    spectrum_weight: float = 0.5
    feature_distance_weight: float = 0.5
    phone_divergence_weight: float = 0.3
    seed: int = 2


class CodecPhase:
    """Losses of encoder and decoder together."""

    def __init__(
        self, codec: Mimi, recognizer: PhoneRecognizer, recipe: CodecRecipe, *, ready: bool
    ) -> None:
        self.codec, self.recipe = codec, recipe
        self.recognizer = recognizer.requires_grad_(False)
        self.encoder = EncoderPhase(codec, recipe, ready=ready)
        decoder = [codec.upsample, codec.decoder_transformer, codec.decoder]
        self.parameters = [
            *self.encoder.parameters,
            *(parameter for module in decoder for parameter in module.parameters()),
        ]
        self.modules: dict[str, nn.Module] = self.encoder.modules

    def __call__(
        self, step: int, pcm: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        coding, numbers, latent = self.encoder.quantize(step, pcm, labels, generator)
        sound, sound_numbers = self._sound_loss(latent, pcm, generator)
        return coding + sound, numbers | sound_numbers

    def _sound_loss(
        self, latent: Tensor, pcm: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss and numbers of decoded latents (B, D, T) against waveforms (B, 1, N)."""
        with torch.autocast(pcm.device.type, torch.bfloat16, enabled=self.recipe.autocasts):
            decoded = self.codec.waveform(latent).float()
            features, phones = recognizer_distance(self.recognizer, decoded, pcm, generator)
        mel = spectral_losses.multi_scale_mel(decoded, pcm, self.codec.config.sample_rate)
        total = mel + self.recipe.feature_distance_weight * features
        total = total + self.recipe.phone_divergence_weight * phones
        numbers = {"mel": mel, "phone_features": features, "phone_divergence": phones}
        return total, {name: value.item() for name, value in numbers.items()}

    def extra_state(self) -> dict[str, Any]:
        return self.encoder.extra_state()

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.encoder.load_extra_state(state)


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
    """Train up to ``recipe.steps``, resuming from ``out/state.pt`` if it exists.

    Args:
        start_from: weights of "codec", with trained codebooks, and optionally of "heads", as
            `first_codebooks` returns them. Other weights are initialized.
        on_step: called after every step with its number and losses.
        allow_changes: resume even if the recipe has changed.
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
        label_rate=config.frame_rate * PHONES_PER_FRAME,
        on_step=on_step,
        allow_changes=allow_changes,
    )
    return codec


def finished_weights(state: Path) -> dict[str, Tensor]:
    """The codec's weights in a state file, ready for use.

    Swaps code 0 of codebook 0 with the rarest code: a frame of zeros ends a segment, so code 0
    should not be a common sound.
    """
    found = torch.load(state, weights_only=True)
    codec: dict[str, Tensor] = found["modules"]["codec"]
    rarest = int(found["extra"]["semantic"]["usage"][0].argmin())
    semantic = codec["quantizer.semantic.centroids"][0]
    semantic[[0, rarest]] = semantic[[rarest, 0]]
    return codec
