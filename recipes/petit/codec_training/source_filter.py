"""Trains a source-filter decoder on the codes of a codec that stay as they are.

First it learns WORLD's parameters of the speech, which needs no synthesis. Means of parameters
sound muffled, so from step ``spoken_from`` on it speaks: the waveform is compared with the
original by multi-scale mel distances, and a small discriminator sees log mel spectra of both. Part
of the windows has codes that the language model has drawn, so the decoder learns its mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from causerie.codec.mimi import Mimi
from causerie.codec.source_filter import ENVELOPE_HZ, Parameters, SourceFilter
from causerie.config import HOP
from causerie.errors import ConfigError
from causerie.train import spectral_losses
from causerie.train.loop import SAVE_EVERY, Descent, Loop, OnStep
from causerie.train.source_filter import Tracks, pitch_loss, spoken
from codec_training.discriminator import (
    Features,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
)

#: Envelopes whose mean is below this log gain are nearly silent, and count less.
QUIET, QUIET_WEIGHT = -9.0, 0.15
#: Log mel spectra that the discriminator sees: window, hop, mels; and their mean and deviation.
SPECTRA = ((512, 120, 80), (1024, 240, 80))
MEL_MEAN, MEL_DEVIATION = -5.0, 2.0


@dataclass(frozen=True, kw_only=True)
class SourceFilterRecipe:
    """Everything a run depends on, apart from codec and data.

    Attributes:
        spoken_from: first step that compares waveforms.
        drawn: share of the windows with codes that the language model has drawn.
        parameter_weight: of the distance of parameters, once waveforms are compared.
        adversarial_weight, feature_weight: of the discriminator's score and its features.
        spoken_lr: highest learning rate from `spoken_from` on.
    """

    steps: int
    spoken_from: int
    batch: int = 8
    window_frames: int = 25
    lr: float = 2e-3
    spoken_lr: float = 8e-4
    warmup: int = 50
    betas: tuple[float, float] = (0.8, 0.98)
    weight_decay: float = 0.01
    drawn: float = 0.5
    parameter_weight: float = 0.3
    aperiodicity_weight: float = 0.3
    adversarial_weight: float = 0.04
    feature_weight: float = 0.08
    discriminator_lr: float = 8e-4
    clip: float = 3.0
    seed: int = 0


@dataclass(frozen=True)
class Windows:
    """A batch: codes (B, K, T), pcm (B, 1, N) and the targets of its hops."""

    codes: Tensor
    pcm: Tensor
    tracks: Tracks
    envelope: Tensor
    aperiodicity: Tensor


class TargetFolder:
    """Draws windows from the folders that decoder_targets.py writes; voices are equally likely.

    Raises:
        ConfigError: there are none.
    """

    def __init__(self, folder: Path) -> None:
        paths = sorted(path.parent for path in folder.glob("*/starts.npy"))
        self.voices = [
            {file.stem: np.load(file, mmap_mode="r") for file in path.glob("*.npy")}
            for path in paths
            if path.suffix != ".partial"
        ]
        if not self.voices:
            raise ConfigError(f"{folder} has no targets: make them with decoder_targets.py")

    def windows(self, recipe: SourceFilterRecipe, step: int) -> Windows:
        """The windows of a step, which depend on (seed, step) alone."""
        random = np.random.default_rng((recipe.seed, step))
        drawn = [self._window(recipe, random) for _ in range(recipe.batch)]
        stacked = {
            name: torch.from_numpy(np.stack([window[name] for window in drawn]))
            for name in drawn[0]
        }
        return Windows(
            codes=stacked["codes"].long().transpose(1, 2),
            pcm=stacked["pcm"].float()[:, None] / 32767,
            tracks=Tracks(stacked["pitch"].float(), stacked["voiced"].float()),
            envelope=stacked["envelope"].float(),
            aperiodicity=stacked["aperiodicity"].float(),
        )

    def _window(
        self, recipe: SourceFilterRecipe, random: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """The arrays of a random window, by name."""
        arrays = self.voices[random.integers(len(self.voices))]
        starts, size = arrays["starts"], recipe.window_frames
        frames = len(arrays["codes"])
        hops = len(arrays["pitch"]) // frames
        # A frame is as likely as any other, so long utterances are drawn more often.
        middle = random.integers(frames)
        place = int(np.searchsorted(starts, middle, side="right")) - 1
        begin, end = int(starts[place]), int(starts[place + 1])
        first = min(max(begin, middle - size // 2), max(begin, end - size))
        kind = "drawn" if random.random() < recipe.drawn else "codes"

        def cut(name: str, per_frame: int) -> np.ndarray:
            part = arrays[name][per_frame * first : per_frame * min(end, first + size)]
            missing = per_frame * size - len(part)
            padding = ((0, missing), *((0, 0) for _ in part.shape[1:]))
            mode = "constant" if name in ("pcm", "voiced") else "edge"
            return np.pad(np.asarray(part), padding, mode)  # type: ignore[call-overload,no-any-return]

        window = {"codes": cut(kind, 1), "pcm": cut("pcm", hops * HOP)}
        names = ("pitch", "voiced", "envelope", "aperiodicity")
        return window | {name: cut(name, hops) for name in names}


class MelDiscriminator(nn.Module):
    """2-D convolutions over log mel spectra and their change over time."""

    def __init__(self, channels: int = 24) -> None:
        super().__init__()
        c = channels
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(inside, outside, kernel, stride, padding))
            for inside, outside, kernel, stride, padding in (
                (2, c, 5, (2, 1), 2),
                (c, c, 5, (2, 1), 2),
                (c, 2 * c, 5, (2, 2), 2),
                (2 * c, 2 * c, 3, 1, 1),
            )
        )
        self.score = weight_norm(nn.Conv2d(2 * c, 1, 3, padding=1))

    def forward(self, mel: Tensor) -> Features:
        """Features of spectra (B, mels, N)."""
        change = F.pad(mel[..., 1:] - mel[..., :-1], (1, 0))
        x = torch.stack((mel, 2 * change), dim=1)
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return [*features, self.score(x)]


class SourceFilterPhase:
    """Losses of the decoder's training."""

    def __init__(self, codec: Mimi, recipe: SourceFilterRecipe) -> None:
        assert isinstance(codec.decoder, SourceFilter)
        self.codec, self.recipe = codec, recipe
        self.decoder = codec.decoder
        self.discriminators = nn.ModuleList(MelDiscriminator() for _ in SPECTRA)
        self.discriminator_optimizer = torch.optim.AdamW(
            self.discriminators.parameters(), lr=recipe.discriminator_lr, betas=(0.5, 0.9)
        )
        self.parameters = list(self.decoder.parameters())
        self.modules: dict[str, nn.Module] = {
            "codec": codec,
            "discriminators": self.discriminators,
        }

    def loss(
        self, step: int, windows: Windows, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss and numbers of a batch."""
        recipe = self.recipe
        with torch.no_grad():
            latent = self.codec.quantizer.decode(windows.codes)
        predicted = self.decoder.predict(latent)
        envelope, aperiodicity = parameter_distances(predicted, windows)
        pitch = pitch_loss(predicted, windows.tracks)
        parameters = envelope + recipe.aperiodicity_weight * aperiodicity
        numbers = {"envelope": envelope, "aperiodicity": aperiodicity, "pitch": pitch}
        if step < recipe.spoken_from:
            total = parameters + 0.5 * pitch
        else:
            sound = spoken(predicted, windows.tracks, generator)
            original = windows.pcm[..., : sound.shape[-1]]
            # The first frames of a window lack the past that they have when they are spoken.
            seen = slice(self.codec.config.frame_size * 5 // 2, None)
            sound, original = sound[..., seen], original[..., seen]
            rate = self.codec.config.sample_rate
            mel = spectral_losses.multi_scale_mel(sound, original, rate)
            fooled, matched, caught = self._judged(sound, original)
            total = mel + recipe.parameter_weight * parameters + 0.5 * pitch
            total = total + recipe.adversarial_weight * fooled + recipe.feature_weight * matched
            numbers |= {"mel": mel, "features": matched, "discriminator": caught}
        return total, {name: float(value.detach()) for name, value in numbers.items()}

    def _judged(self, sound: Tensor, original: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Score and feature distance of the sound, and the loss of the discriminators' step."""
        rate = self.codec.config.sample_rate
        pairs = [
            [
                (spectral_losses.log_mel(pcm, *spectrum, rate) - MEL_MEAN) / MEL_DEVIATION
                for pcm in (original, sound)
            ]
            for spectrum in SPECTRA
        ]
        both = list(zip(self.discriminators, pairs, strict=True))
        real = [judge(mels[0]) for judge, mels in both]
        fake = [judge(mels[1].detach()) for judge, mels in both]
        caught = discriminator_loss(real, fake)
        self.discriminator_optimizer.zero_grad()
        caught.backward()
        self.discriminator_optimizer.step()
        with torch.no_grad():
            real = [judge(mels[0]) for judge, mels in both]
        fake = [judge(mels[1]) for judge, mels in both]
        return adversarial_loss(fake), feature_loss(real, fake), caught

    def extra_state(self) -> dict[str, Any]:
        return {"discriminator_optimizer": self.discriminator_optimizer.state_dict()}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])


def parameter_distances(predicted: Parameters, windows: Windows) -> tuple[Tensor, Tensor]:
    """The mean distances of envelope and aperiodicity; the latter only counts in voiced hops."""
    loud = (windows.envelope.mean(-1, keepdim=True) > QUIET).float()
    weight = QUIET_WEIGHT + (1 - QUIET_WEIGHT) * loud
    distance = (predicted.envelope - windows.envelope).abs() * weight
    envelope = distance.sum() / (weight.sum() * windows.envelope.shape[-1])
    voiced = windows.tracks.voiced[..., None]
    distance = (predicted.aperiodicity - windows.aperiodicity).abs() * voiced
    bands = windows.aperiodicity.shape[-1]
    return envelope, distance.sum() / (voiced.sum().clamp(min=1) * bands)


@torch.no_grad()
def initialize(codec: Mimi, folder: TargetFolder) -> None:
    """Start the decoder at the mean envelope and at inputs of moderate size."""
    decoder = codec.decoder
    assert isinstance(decoder, SourceFilter)
    means = [np.asarray(arrays["envelope"][::8], np.float32).mean(0) for arrays in folder.voices]
    codes = torch.from_numpy(np.array(folder.voices[0]["codes"][:400])).long().T[None]
    decoder.input.weight.mul_(0.5 / codec.quantizer.decode(codes).std())
    decoder.output.weight.mul_(0.5)
    bias = decoder.output.bias.view(decoder.config.hops_per_step, -1).zero_()
    bias[:, 2 : 2 + len(ENVELOPE_HZ)] = torch.from_numpy(np.mean(means, 0))
    bias[:, 2 + len(ENVELOPE_HZ) :] = -2.0


def train_source_filter(
    codec: Mimi,
    recipe: SourceFilterRecipe,
    targets: Path,
    out: Path,
    *,
    on_step: OnStep | None = None,
    allow_changes: bool = False,
    save_every: int = SAVE_EVERY,
) -> Mimi:
    """Train the decoder up to ``recipe.steps``, resuming from ``out/state.pt`` if it exists.

    Args:
        codec: with the final encoder and codebooks, and a new decoder.
        targets: the folder that decoder_targets.py writes.
        on_step: called after every step with its number and losses.
        allow_changes: resume even if the recipe has changed.
    """
    folder = TargetFolder(targets)
    initialize(codec, folder)
    phase = SourceFilterPhase(codec, recipe)
    optimizer = torch.optim.AdamW(
        phase.parameters, lr=recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay
    )
    loop = Loop(
        out / "state.pt",
        phase,
        optimizer,
        seed=recipe.seed,
        allow_changes=allow_changes,
        save_every=save_every,
    )

    def gradients(step: int) -> dict[str, float]:
        total, numbers = phase.loss(step, folder.windows(recipe, step), loop.generator)
        total.backward()
        return numbers

    loop.begin(vars(recipe))
    if loop.step < recipe.spoken_from:
        first = Descent(
            steps=recipe.spoken_from, lr=recipe.lr, warmup=recipe.warmup, clip=recipe.clip
        )
        loop.descend(gradients, first, on_step)
    second = Descent(
        first=recipe.spoken_from, steps=recipe.steps, lr=recipe.spoken_lr, warmup=recipe.warmup,
        clip=recipe.clip,
    )  # fmt: skip
    loop.descend(gradients, second, on_step)
    return codec
