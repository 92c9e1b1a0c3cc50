"""Trains a source-filter decoder on the codes of a codec.

First it learns WORLD's parameters of the speech, which needs no synthesis. Means of parameters
sound muffled, so then the decoder speaks: the waveform's log mel spectra are compared with those of
the original, and a discriminator sees both. Part of the windows has codes that the language model
has drawn, so the decoder learns its mistakes.

The encoder stays as it is, or is trained too, for voices that it has heard too little of. Codebooks
always stay.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causerie.codec.mimi import Mimi
from causerie.codec.source_filter import ENVELOPE_HZ, NUM_OUTPUTS, Parameters, SourceFilter
from causerie.config import HOP
from causerie.device import has_fast_bf16
from causerie.errors import ConfigError
from causerie.train import spectral_losses
from causerie.train.loop import SAVE_EVERY, Descent, Loop, OnStep
from causerie.train.source_filter import Tracks, pitch_loss, spoken
from codec_training.discriminator import Adversary, SpectraDiscriminator
from codec_training.encoder import PHONES_PER_FRAME, EncoderPhase, EncoderRecipe
from codec_training.phone_recognizer import PhoneRecognizer, recognizer_distance

#: Envelopes whose mean is below this log gain are nearly silent, and count less.
QUIET, QUIET_WEIGHT = -9.0, 0.15
#: Mean and deviation of log mel spectra.
MEL_SCALE = (-5.0, 2.0)
#: Log mel spectra that are compared: window, hop, mels. The discriminator sees the first ones.
SPECTRA = ((1024, 240, 80), (512, 120, 80), (2048, 480, 96))
#: How much `sharpen` deepens the envelope. With 0.35, P.808 of 10 sentences by the language model
#: rose from 3.55 to 3.67 (heart) and from 3.70 to 3.83 (bruno); OVRL by -0.06 and 0.
SHARPENING, KEPT_CEPSTRUM = 0.35, 4
#: Start of a window whose sound is not compared.
UNSEEN_MS = 200


@dataclass(frozen=True, kw_only=True)
class SourceFilterRecipe:
    """Everything a run depends on, apart from codec and data.

    Attributes:
        speaks: whether waveforms are compared, and not only parameters.
        drawn: share of the windows with codes that the language model has drawn.
        parameter_weight: of the distance of parameters, if waveforms are compared.
        adversarial_weight, feature_weight: of the discriminator's score and its features.
        encoding: how the encoder is trained; None: it stays as it is.
        encodes: whether the codec encodes the speech anew, as its encoder has changed since the
            targets were made.
        favorite, favored: a voice, and how many times as often as another it is drawn.
        feature_distance_weight, phone_divergence_weight: of the losses by a phone recognizer.
    """

    steps: int
    speaks: bool = False
    batch: int = 8
    window_frames: int = 25
    lr: float = 2e-3
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
    encoding: EncoderRecipe | None = None
    encodes: bool = False
    favorite: str | None = None
    favored: int = 1
    feature_distance_weight: float = 0.5
    phone_divergence_weight: float = 0.3
    seed: int = 0


@dataclass(frozen=True)
class Windows:
    """A batch: codes (B, K, T), pcm (B, 1, N) and the targets of its hops.

    Attributes:
        is_drawn: (B,), whether the language model has drawn the codes.
        labels: (B, T · PHONES_PER_FRAME), phones.
    """

    codes: Tensor
    is_drawn: Tensor
    pcm: Tensor
    labels: Tensor
    tracks: Tracks
    envelope: Tensor
    aperiodicity: Tensor


class TargetFolder:
    """Draws windows from the folders that decoder_targets.py writes, one folder a voice.

    Raises:
        ConfigError: there are none.
    """

    def __init__(self, folder: Path) -> None:
        paths = sorted(path.parent for path in folder.glob("*/starts.npy"))
        paths = [path for path in paths if path.suffix != ".partial"]
        self.names = [path.name for path in paths]
        self.voices = [
            {file.stem: np.load(file, mmap_mode="r") for file in path.glob("*.npy")}
            for path in paths
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
            is_drawn=stacked["is_drawn"],
            pcm=stacked["pcm"].float()[:, None] / 32767,
            labels=stacked["labels"].long(),
            tracks=Tracks(stacked["pitch"].float(), stacked["voiced"].float()),
            envelope=stacked["envelope"].float(),
            aperiodicity=stacked["aperiodicity"].float(),
        )

    def _window(
        self, recipe: SourceFilterRecipe, random: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """The arrays of a random window, by name."""
        voices = self.voices + [
            voice
            for name, voice in zip(self.names, self.voices, strict=True)
            if name == recipe.favorite
            for _ in range(recipe.favored - 1)
        ]
        arrays = voices[random.integers(len(voices))]
        starts, size = arrays["starts"], recipe.window_frames
        frames = len(arrays["codes"])
        hops = len(arrays["pitch"]) // frames
        # A frame is as likely as any other, so long utterances are drawn more often.
        middle = random.integers(frames)
        place = int(np.searchsorted(starts, middle, side="right")) - 1
        begin, end = int(starts[place]), int(starts[place + 1])
        first = min(max(begin, middle - size // 2), max(begin, end - size))
        is_drawn = random.random() < recipe.drawn

        def cut(name: str, per_frame: int) -> np.ndarray:
            part = arrays[name][per_frame * first : per_frame * min(end, first + size)]
            missing = per_frame * size - len(part)
            padding = ((0, missing), *((0, 0) for _ in part.shape[1:]))
            mode = "constant" if name in ("pcm", "voiced", "labels") else "edge"
            return np.pad(np.asarray(part), padding, mode)  # type: ignore[call-overload,no-any-return]

        window = {"codes": cut("drawn" if is_drawn else "codes", 1), "is_drawn": np.array(is_drawn)}
        window |= {"pcm": cut("pcm", hops * HOP), "labels": cut("labels", PHONES_PER_FRAME)}
        names = ("pitch", "voiced", "envelope", "aperiodicity")
        return window | {name: cut(name, hops) for name in names}


class SourceFilterPhase:
    """Losses of the decoder's training, with those of a phone recognizer if there is one."""

    def __init__(
        self, codec: Mimi, recipe: SourceFilterRecipe, recognizer: PhoneRecognizer | None = None
    ) -> None:
        assert isinstance(codec.decoder, SourceFilter)
        self.codec, self.recipe = codec, recipe
        self.decoder = codec.decoder
        self.recognizer = recognizer and recognizer.requires_grad_(False)
        self.autocast = torch.autocast(
            "cpu", torch.bfloat16, enabled=has_fast_bf16(torch.device("cpu"))
        )
        self.adversary = Adversary(SpectraDiscriminator(1), recipe.discriminator_lr)
        self.parameters = list(self.decoder.parameters())
        self.modules: dict[str, nn.Module] = {
            "codec": codec,
            "discriminator": self.adversary.module,
        }
        self.encoder: EncoderPhase | None = None
        if recipe.encoding is not None:
            self.encoder = EncoderPhase(codec, recipe.encoding, ready=True, frozen=True)
            self.parameters += self.encoder.parameters
            self.modules["heads"] = self.encoder.heads

    def loss(
        self, step: int, windows: Windows, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss and numbers of a batch."""
        recipe = self.recipe
        latent, coding, numbers = self._latent(step, windows, generator)
        with self.autocast:
            predicted = self.decoder.predict(latent)
        envelope, aperiodicity = parameter_distances(predicted, windows)
        pitch = pitch_loss(predicted, windows.tracks)
        parameters = envelope + recipe.aperiodicity_weight * aperiodicity
        losses = {"envelope": envelope, "aperiodicity": aperiodicity, "pitch": pitch}
        total = coding + 0.5 * pitch
        if not recipe.speaks:
            total = total + parameters
        else:
            total = total + recipe.parameter_weight * parameters
            sound = spoken(predicted, windows.tracks, generator)
            waveforms = [self._seen(pcm) for pcm in (windows.pcm[..., : sound.shape[-1]], sound)]
            spectra = [self._spectra(pcm) for pcm in waveforms]
            mel = torch.stack([F.l1_loss(a, b) for a, b in zip(*spectra, strict=True)]).mean()
            total = total + mel
            losses["mel"] = mel
            if self.recognizer is not None:
                original, decoded = waveforms
                features, phones = recognizer_distance(
                    self.recognizer, decoded, original, generator
                )
                total = total + recipe.feature_distance_weight * features
                total = total + recipe.phone_divergence_weight * phones
                losses |= {"phone_features": features, "phone_divergence": phones}
            real, fake = ([_scaled(one[0], *MEL_SCALE)] for one in spectra)
            with self.autocast:
                fooled, matched, numbers["discriminator"] = self.adversary(real, fake)
            total = total + recipe.adversarial_weight * fooled + recipe.feature_weight * matched
            losses["features"] = matched
        return total, numbers | {name: float(value.detach()) for name, value in losses.items()}

    def _latent(
        self, step: int, windows: Windows, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, dict[str, float]]:
        """Latent (B, D, T) of windows, and loss and numbers of the encoder."""
        codes, own = windows.codes, ~windows.is_drawn
        if self.recipe.encodes and own.any():
            with torch.no_grad():
                codes = codes.clone()
                codes[own] = self.codec.encode(windows.pcm[own])
        with torch.set_grad_enabled(self.encoder is not None):
            latent = self.codec.quantizer.decode(codes)
        if self.encoder is None or not own.any():
            return latent, torch.zeros(()), {}
        loss, numbers, encoded = self.encoder.quantize(
            step, windows.pcm[own], windows.labels[own], generator
        )
        return latent.index_copy(0, own.nonzero()[:, 0], encoded), loss, numbers

    def _seen(self, pcm: Tensor) -> Tensor:
        """The waveform without the frames that lack the past that they have in use."""
        return pcm[..., UNSEEN_MS * self.codec.config.sample_rate // 1000 :]

    def _spectra(self, pcm: Tensor) -> list[Tensor]:
        """Log mel spectra."""
        rate = self.codec.config.sample_rate
        return [spectral_losses.log_mel(pcm, *spectrum, rate) for spectrum in SPECTRA]

    def extra_state(self) -> dict[str, Any]:
        return self.adversary.state_dict()

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.adversary.load_state_dict(state)


def _scaled(spectrum: Tensor, mean: float, deviation: float) -> Tensor:
    return (spectrum - mean) / deviation


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


@torch.no_grad()
def sharpen(decoder: SourceFilter, *, undo: bool = False) -> None:
    """Deepen the fine shape of the envelope, which training blurs, in the output layer's weights.

    The cepstrum of the envelope over its bands is multiplied by 1 up to `KEPT_CEPSTRUM`, then by up
    to 1 + `SHARPENING`. A second call would sharpen again.

    Args:
        undo: divide instead, so that a decoder that was sharpened can be trained further.
    """
    size = len(ENVELOPE_HZ)
    order, band = torch.arange(size)[:, None], torch.arange(size)
    cosines = (2 / size) ** 0.5 * (torch.pi / size * order * (band + 0.5)).cos()
    cosines[0] *= 0.5**0.5
    fine = (order - KEPT_CEPSTRUM).clamp(min=0) / (2 * KEPT_CEPSTRUM)
    factors = 1 + SHARPENING * (1 - (-fine).exp())
    sharpening = cosines.T @ ((1 / factors if undo else factors) * cosines)
    for weight in (decoder.output.weight, decoder.output.bias):
        rows = weight.view(decoder.config.hops_per_step, NUM_OUTPUTS, -1)
        envelope = rows[:, 2 : 2 + size]
        envelope.copy_(sharpening @ envelope)


def train_source_filter(
    codec: Mimi,
    recipe: SourceFilterRecipe,
    targets: Path,
    out: Path,
    *,
    is_new: bool = True,
    discriminator: dict[str, Tensor] | None = None,
    recognizer: PhoneRecognizer | None = None,
    on_step: OnStep | None = None,
    allow_changes: bool = False,
    save_every: int = SAVE_EVERY,
) -> Mimi:
    """Train the decoder up to ``recipe.steps``, resuming from ``out/state.pt`` if it exists.

    Args:
        codec: with trained encoder and codebooks.
        targets: the folder that decoder_targets.py writes.
        is_new: the decoder was not trained before.
        discriminator: trained weights of the discriminator; None: it is new.
        recognizer: compares the phones of original and decoded sound; None: nothing does.
        on_step: called after every step with its number and losses.
        allow_changes: resume even if the recipe has changed.
    """
    folder = TargetFolder(targets)
    if is_new:
        initialize(codec, folder)
    phase = SourceFilterPhase(codec, recipe, recognizer)
    if discriminator is not None:
        phase.adversary.module.load_state_dict(discriminator)
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

    loop.begin(asdict(recipe))
    descent = Descent(steps=recipe.steps, lr=recipe.lr, warmup=recipe.warmup, clip=recipe.clip)
    loop.descend(gradients, descent, on_step)
    return codec
