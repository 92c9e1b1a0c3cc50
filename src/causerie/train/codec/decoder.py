"""What a codec's decoder learns by; and its training alone, while encoder and codebooks rest.

Its sound is compared with the original by multi-scale mel distances, by what a phone recogniser
hears in it (see `recognizer`), and from ``adversarial_from`` on also by a discriminator. While the
encoder rests, codes stay what they were: a language model that knows them stays valid.
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
from causerie.train.codec import distributed, losses
from causerie.train.codec.aligned_speech import SpeechFolder
from causerie.train.codec.discriminator import (
    Discriminator,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
)
from causerie.train.codec.encoder import new_codec
from causerie.train.codec.phone_recognizer import LABEL_RATE, PhoneRecognizer, heard_difference
from causerie.train.codec.windows import WindowRecipe, train_on_windows
from causerie.train.loop import OnStep


@dataclass(frozen=True, kw_only=True)
class DecoderRecipe(WindowRecipe):
    """Everything a run depends on, beside the data and the recogniser.

    Attributes:
        window_frames: length of what is cut from utterances.
        noisy_codes: part of the deepest codes that are exchanged for others.
        heard_features, heard_phones: weights of what the recogniser hears.
        adversarial_weight, feature_weight: of its opinion, and of the difference of its features;
            as they are, all of it pulls about as hard as what is heard does.
        adversarial_part: of the windows, and of the length of each, that the discriminator sees:
            by half of both it costs a quarter.
    """

    batch: int = 8
    window_frames: int = 25
    lr: float = 1.2e-3
    betas: tuple[float, float] = (0.8, 0.99)
    noisy_codes: float = 0.08
    heard_features: float = 0.5
    heard_phones: float = 0.3
    adversarial_from: int = 1_000_000_000
    adversarial_weight: float = 0.012
    adversarial_part: float = 1.0
    feature_weight: float = 0.15
    discriminator_lr: float = 1e-3
    seed: int = 1


class DecoderPhase:
    """One step of the training."""

    def __init__(self, codec: Mimi, recognizer: PhoneRecognizer, recipe: DecoderRecipe) -> None:
        self.codec, self.recipe = codec, recipe
        self.recognizer = recognizer.requires_grad_(False)
        self.discriminator = Discriminator()
        self.discriminator_optimizer = torch.optim.AdamW(
            self.discriminator.parameters(), lr=recipe.discriminator_lr, betas=(0.5, 0.9)
        )
        trained = [codec.upsample, codec.decoder_transformer, codec.decoder]
        self.parameters = [p for module in trained for p in module.parameters()]
        self.modules: dict[str, nn.Module] = {
            "codec": codec,
            "discriminator": self.discriminator,
        }

    def __call__(
        self, step: int, pcm: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        codec = self.codec
        autocast = torch.autocast(pcm.device.type, torch.bfloat16, enabled=self.recipe.autocast)
        with torch.no_grad(), autocast:
            unquantized = codec.latent(pcm).float()
            codes = codec.quantizer.encode(unquantized, codec.config.num_codebooks)
            latent = codec.quantizer.decode(self._corrupt(codes, generator))
        return self.judge(step, latent, pcm, generator)

    def judge(
        self, step: int, latent: Tensor, pcm: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss of the sound of quantized latents (B, D, T) against waveforms (B, 1, N)."""
        recipe = self.recipe
        with torch.autocast(pcm.device.type, torch.bfloat16, enabled=recipe.autocast):
            decoded = self.codec.waveform(latent).float()
            features, phones = heard_difference(self.recognizer, decoded, pcm, generator)
        mel = losses.multi_scale_mel(decoded, pcm, self.codec.config.sample_rate)
        total = mel + recipe.heard_features * features + recipe.heard_phones * phones
        numbers = {"mel": mel.item(), "heard_features": features.item()}
        numbers["heard_phones"] = phones.item()
        if step >= recipe.adversarial_from:
            adversarial, matched, discriminated = self._adversarial(
                *self._seen(decoded, pcm, generator)
            )
            total = total + recipe.adversarial_weight * adversarial
            total = total + recipe.feature_weight * matched
            numbers |= {"adversarial": adversarial.item(), "features": matched.item()}
            numbers["discriminator"] = discriminated
        return total, numbers

    def _corrupt(self, codes: Tensor, generator: torch.Generator) -> Tensor:
        """Exchange some of the deepest codes, which a language model will not get right either."""
        if not self.recipe.noisy_codes:
            return codes
        depth = torch.arange(codes.shape[1]) / max(1, codes.shape[1] - 1)  # 0 … 1
        chance = (self.recipe.noisy_codes * depth)[None, :, None]
        swap = distributed.rand(codes.shape, generator) < chance
        shuffled = codes[torch.randperm(codes.shape[0], generator=generator)]
        return torch.where(swap, shuffled, codes)

    def _seen(
        self, decoded: Tensor, pcm: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """What the discriminator sees of both: the first windows, which are random themselves."""
        part = self.recipe.adversarial_part
        if part == 1:
            return decoded, pcm
        count, length = math.ceil(part * pcm.shape[0]), math.ceil(part * pcm.shape[2])
        first = int(torch.randint(pcm.shape[2] - length + 1, (), generator=generator))
        kept = (slice(count), slice(None), slice(first, first + length))
        return decoded[kept], pcm[kept]

    def _adversarial(self, decoded: Tensor, pcm: Tensor) -> tuple[Tensor, Tensor, float]:
        with torch.autocast(pcm.device.type, torch.bfloat16, enabled=self.recipe.autocast):
            real = self.discriminator(pcm)
            fake = self.discriminator(decoded.detach())
            discriminated = discriminator_loss(real, fake)
        self.discriminator_optimizer.zero_grad()
        discriminated.backward()
        distributed.average_gradients(self.discriminator.parameters())
        self.discriminator_optimizer.step()
        with torch.autocast(pcm.device.type, torch.bfloat16, enabled=self.recipe.autocast):
            with torch.no_grad():
                real = self.discriminator(pcm)
            fake = self.discriminator(decoded)
            return adversarial_loss(fake), feature_loss(real, fake), discriminated.item()

    def extra_state(self) -> dict[str, Any]:
        return {"discriminator_optimizer": self.discriminator_optimizer.state_dict()}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])


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
    """Train until ``recipe.steps``, resuming from ``out/state.pt`` where it exists.

    Args:
        start_from: weights of encoder and codebooks; and of a decoder, to go on with it.
        on_step: called after every step with its number and losses.
        allow_changes: go on though the recipe has changed.
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
