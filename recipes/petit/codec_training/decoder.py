"""The losses of a codec's decoder, and training of the decoder alone.

The decoded waveform is compared with the original by multi-scale mel distances, by the features
and logits of a phone recognizer (see `phone_recognizer`), and, from step ``adversarial_from`` on,
by a discriminator. When the decoder is trained alone, encoder and codebooks are frozen: codes do
not change, so a language model that was trained on them stays valid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from causerie.codec.mimi import Mimi
from causerie.config import MimiConfig
from causerie.train import spectral_losses
from causerie.train.loop import OnStep
from codec_training import distributed
from codec_training.aligned_speech import SpeechFolder
from codec_training.discriminator import Adversary, Discriminator
from codec_training.encoder import new_codec
from codec_training.phone_recognizer import LABEL_RATE, PhoneRecognizer, recognizer_distance
from codec_training.windows import WindowRecipe, train_on_windows


@dataclass(frozen=True, kw_only=True)
class DecoderRecipe(WindowRecipe):
    """Everything a run depends on, apart from the data and the recognizer.

    Attributes:
        window_frames: length of the windows cut from utterances.
        noisy_codes: probability that a code of the deepest codebook is replaced by another.
        feature_distance_weight, phone_divergence_weight: of the two recognizer losses.
        adversarial_weight, feature_weight: of the discriminator's score and of the distance
            between its features. With the defaults, both together have gradients about as large
            as those of the recognizer losses.
        adversarial_part: share of the windows, and of each window's length, that the
            discriminator sees. At 0.5 it costs a quarter.
    """

    batch: int = 8
    window_frames: int = 25
    lr: float = 1.2e-3
    betas: tuple[float, float] = (0.8, 0.99)
    noisy_codes: float = 0.08
    feature_distance_weight: float = 0.5
    phone_divergence_weight: float = 0.3
    adversarial_from: int = 1_000_000_000
    adversarial_weight: float = 0.012
    adversarial_part: float = 1.0
    feature_weight: float = 0.15
    discriminator_lr: float = 1e-3
    seed: int = 1


class DecoderPhase:
    """Losses of decoder training."""

    def __init__(self, codec: Mimi, recognizer: PhoneRecognizer, recipe: DecoderRecipe) -> None:
        self.codec, self.recipe = codec, recipe
        self.recognizer = recognizer.requires_grad_(False)
        self.adversary = Adversary(Discriminator(), recipe.discriminator_lr)
        trained = [codec.upsample, codec.decoder_transformer, codec.decoder]
        self.parameters = [p for module in trained for p in module.parameters()]
        self.modules: dict[str, nn.Module] = {
            "codec": codec,
            "discriminator": self.adversary.module,
        }

    def __call__(
        self, step: int, pcm: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        codec = self.codec
        autocast = torch.autocast(pcm.device.type, torch.bfloat16, enabled=self.recipe.autocasts)
        with torch.no_grad(), autocast:
            unquantized = codec.latent(pcm).float()
            codes = codec.quantizer.encode(unquantized, codec.config.num_codebooks)
            latent = codec.quantizer.decode(self._corrupt(codes, generator))
        return self.loss_of(step, latent, pcm, generator)

    def loss_of(
        self, step: int, latent: Tensor, pcm: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss and numbers of decoded latents (B, D, T) against waveforms (B, 1, N)."""
        recipe = self.recipe
        with torch.autocast(pcm.device.type, torch.bfloat16, enabled=recipe.autocasts):
            decoded = self.codec.waveform(latent).float()
            features, phones = recognizer_distance(self.recognizer, decoded, pcm, generator)
        mel = spectral_losses.multi_scale_mel(decoded, pcm, self.codec.config.sample_rate)
        total = mel + recipe.feature_distance_weight * features
        total = total + recipe.phone_divergence_weight * phones
        numbers = {"mel": mel.item(), "phone_features": features.item()}
        numbers["phone_divergence"] = phones.item()
        if step >= recipe.adversarial_from:
            decoded, pcm = self._crop(decoded, pcm, generator)
            adversarial, matched, discriminated = self.adversary(
                [pcm], [decoded], autocasts=recipe.autocasts
            )
            total = total + recipe.adversarial_weight * adversarial
            total = total + recipe.feature_weight * matched
            numbers |= {"adversarial": adversarial.item(), "features": matched.item()}
            numbers["discriminator"] = discriminated
        return total, numbers

    def _corrupt(self, codes: Tensor, generator: torch.Generator) -> Tensor:
        """Replace some of the deeper codes, since a language model will not get them right."""
        if not self.recipe.noisy_codes:
            return codes
        depth = torch.arange(codes.shape[1]) / max(1, codes.shape[1] - 1)  # 0 … 1
        chance = (self.recipe.noisy_codes * depth)[None, :, None]
        swap = distributed.rand(codes.shape, generator) < chance
        shuffled = codes[torch.randperm(codes.shape[0], generator=generator)]
        return torch.where(swap, shuffled, codes)

    def _crop(
        self, decoded: Tensor, pcm: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """The parts of both that the discriminator sees: some windows, cut at random."""
        part = self.recipe.adversarial_part
        if part == 1:
            return decoded, pcm
        count, length = math.ceil(part * pcm.shape[0]), math.ceil(part * pcm.shape[2])
        first = int(torch.randint(pcm.shape[2] - length + 1, (), generator=generator))
        kept = (slice(count), slice(None), slice(first, first + length))
        return decoded[kept], pcm[kept]

    def extra_state(self) -> dict[str, Any]:
        return {"discriminator_optimizer": self.adversary.state_dict()}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.adversary.load_state_dict(state["discriminator_optimizer"])


def train_decoder(
    config: MimiConfig,
    recipe: DecoderRecipe,
    data: Path,
    recognizer: PhoneRecognizer,
    out: Path,
    *,
    start_from: dict[str, Tensor],
    on_step: OnStep | None = None,
    allow_changes: bool = False,
) -> Mimi:
    """Train up to ``recipe.steps``, resuming from ``out/state.pt`` if it exists.

    Args:
        start_from: weights of encoder and codebooks, and optionally of a decoder.
        on_step: called after every step with its number and losses.
        allow_changes: resume even if the recipe has changed.
    """
    phase = DecoderPhase(new_codec(config, recipe.seed, start_from), recognizer, recipe)
    train_on_windows(
        phase,
        recipe,
        SpeechFolder(data, config.sample_rate),
        out,
        num_samples=recipe.window_frames * config.frame_size,
        label_rate=LABEL_RATE,
        on_step=on_step,
        allow_changes=allow_changes,
    )
    return phase.codec
