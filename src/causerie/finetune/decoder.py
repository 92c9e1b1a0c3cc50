"""Trains the decoder of a codec on one voice, in which it then speaks any codes.

Encoder and codebooks are frozen, so codes do not change and a language model for them needs no
training. Half of the training windows use codes of the recordings with another pitch and other
formants, while the target is the original recording: so the decoder takes the content from the
codes, and the voice from its weights.

A source-filter decoder also learns the pitch of the recordings, as `causerie.audio.pitch` finds it.

Runs on the CPU. Knows nothing of texts or language models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causerie.audio.audio import Audio
from causerie.audio.resample import resample
from causerie.codec.mimi import Mimi
from causerie.codec.source_filter import SourceFilter
from causerie.config import HOP
from causerie.device import has_fast_bf16
from causerie.train import spectral_losses
from causerie.train.loop import Descent, Loop, OnStep
from causerie.train.source_filter import Tracks, pitch_loss, spoken, tracks_of

#: Codecs with fewer parameters know few voices, so their decoder is trained on the new one.
SMALL = 20_000_000
STEPS = 200
SAVE_EVERY = 50
#: Window of the phase vocoder, 43 ms at 24 kHz, and its hop.
WINDOW, STRIDE = 1024, 256


@dataclass(frozen=True, kw_only=True)
class VoiceRecipe:
    """Everything a run depends on, apart from codec and recordings.

    Attributes:
        window_frames: length of the windows cut from recordings.
        shifted: share of the windows whose codes have another pitch.
        versions: number of other pitches per recording, drawn once.
        furthest: largest factor of the pitch, up or down.
        noisy_codes: probability that a code of the deepest codebook is replaced by another.
    """

    steps: int
    batch: int = 8
    window_frames: int = 25
    lr: float = 6e-4
    warmup: int = 20
    betas: tuple[float, float] = (0.8, 0.99)
    shifted: float = 0.5
    versions: int = 3
    furthest: float = 1.9
    noisy_codes: float = 0.08
    seed: int = 0


def adapt(
    codec: Mimi,
    recordings: Sequence[Audio],
    recipe: VoiceRecipe,
    num_codebooks: int,
    state: Path,
    *,
    on_step: OnStep | None = None,
) -> None:
    """Train a codec's decoder in place, resuming from the file `state` if it exists.

    Args:
        recordings: recordings of the voice.
        num_codebooks: number of codebooks that the language model generates.

    Raises:
        ConfigError: the state file belongs to another run.
    """
    phase = _Phase(codec, recordings, recipe, num_codebooks)
    optimizer = torch.optim.AdamW(
        phase.parameters, lr=recipe.lr, betas=recipe.betas, weight_decay=0.01
    )
    loop = Loop(state, phase, optimizer, seed=recipe.seed, save_every=SAVE_EVERY)
    loop.begin(vars(recipe))

    def gradients(step: int) -> dict[str, float]:
        total = phase.loss(loop.generator)
        total.backward()
        return {"mel": total.item()}

    for parameter in phase.parameters:
        parameter.requires_grad_(True)
    descent = Descent(steps=recipe.steps, lr=recipe.lr, warmup=recipe.warmup)
    loop.descend(gradients, descent, on_step)
    for parameter in phase.parameters:
        parameter.requires_grad_(False).grad = None


def shift_pitch(pcm: Tensor, factor: float, sample_rate: int) -> Tensor:
    """A waveform (N,) with pitch and formants multiplied by `factor` and the same timing.

    A phase vocoder stretches it by the factor, and resampling shortens it again.
    """
    window = torch.hann_window(WINDOW)
    padded = F.pad(pcm, (0, max(0, WINDOW - len(pcm))))
    spectrum = torch.stft(
        padded, WINDOW, STRIDE, window=window, return_complex=True
    )  # (bins, frames)
    positions = torch.arange(0, spectrum.shape[1] - 1, 1 / factor)
    before = positions.long()
    after, share = before + 1, positions - before
    magnitude = (1 - share) * spectrum[:, before].abs() + share * spectrum[:, after].abs()
    expected = 2 * math.pi * STRIDE * torch.arange(WINDOW // 2 + 1)[:, None] / WINDOW
    advance = spectrum[:, after].angle() - spectrum[:, before].angle() - expected
    advance = advance - 2 * math.pi * torch.round(advance / (2 * math.pi)) + expected
    phase = torch.cumsum(torch.cat([spectrum[:, :1].angle(), advance[:, :-1]], 1), 1)
    longer = torch.istft(torch.polar(magnitude, phase), WINDOW, STRIDE, window=window).numpy()
    found = torch.from_numpy(resample(longer, round(sample_rate * factor), sample_rate))
    return F.pad(found[: len(pcm)], (0, max(0, len(pcm) - len(found))))


@dataclass(frozen=True)
class _Recording:
    """A recording, its codes (K, T) in the original and in other pitches, and its pitch."""

    pcm: Tensor
    versions: list[Tensor]
    tracks: Tracks


@dataclass(frozen=True)
class _Window:
    """A part of a recording (1, N), its codes (K, frames) and its pitch, padded past the end."""

    pcm: Tensor
    codes: Tensor
    tracks: Tracks


@dataclass
class _Phase:
    """Draws windows of recordings, and computes the decoder's loss on them."""

    codec: Mimi
    recordings: Sequence[Audio]
    recipe: VoiceRecipe
    num_codebooks: int
    _pool: list[_Recording] = field(default_factory=list)

    def __post_init__(self) -> None:
        codec = self.codec
        trained: list[nn.Module] = [codec.decoder]
        if not isinstance(codec.decoder, SourceFilter):
            trained = [codec.upsample, codec.decoder_transformer, codec.decoder]
        self.parameters = [p for module in trained for p in module.parameters()]
        self.modules: dict[str, nn.Module] = {"codec": codec}

    def extra_state(self) -> dict[str, Any]:
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        assert not state

    def loss(self, generator: torch.Generator) -> Tensor:
        """The spectral loss of a random batch of windows."""
        codec, recipe = self.codec, self.recipe
        pool = self._pool or self._encoded()
        self._pool = pool
        windows = [self._window(pool, generator) for _ in range(recipe.batch)]
        pcm = torch.stack([window.pcm for window in windows])
        codes = torch.stack([window.codes for window in windows])
        depth = torch.arange(codes.shape[1]) / max(1, codes.shape[1] - 1)  # 0 … 1
        chance = (recipe.noisy_codes * depth)[None, :, None]
        swap = torch.rand(codes.shape, generator=generator) < chance
        order = torch.randperm(len(codes), generator=generator)
        codes = torch.where(swap, codes[order], codes)
        with torch.no_grad():
            latent = codec.quantizer.decode(codes)
        autocast = torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16(pcm.device))
        if not isinstance(codec.decoder, SourceFilter):
            with autocast:
                decoded = codec.waveform(latent).float()
            return spectral_losses.multi_scale_mel(decoded, pcm, codec.config.sample_rate)
        tracks = Tracks.stack([window.tracks for window in windows])
        with autocast:
            predicted = codec.decoder.predict(latent)
        decoded = spoken(predicted, tracks, generator)
        pcm = pcm[..., : decoded.shape[-1]]
        mel = spectral_losses.multi_scale_mel(decoded, pcm, codec.config.sample_rate)
        return mel + pitch_loss(predicted, tracks)

    def _encoded(self) -> list[_Recording]:
        rate, generator = self.codec.config.sample_rate, torch.Generator().manual_seed(0)
        pool = []
        for audio in self.recordings:
            pcm = torch.from_numpy(audio.resampled(rate))
            versions = [pcm]
            for _ in range(self.recipe.versions):
                power = 2 * float(torch.rand((), generator=generator)) - 1
                versions.append(shift_pitch(pcm, self.recipe.furthest**power, rate))
            codes = [self.codec.encode(one[None, None], self.num_codebooks)[0] for one in versions]
            pool.append(_Recording(pcm, codes, tracks_of(pcm)))
        return pool

    def _window(self, pool: Sequence[_Recording], generator: torch.Generator) -> _Window:
        """A random window."""

        def draw(count: int) -> int:
            return int(torch.randint(count, (), generator=generator))

        recording = pool[draw(len(pool))]
        number, versions = 0, recording.versions
        if float(torch.rand((), generator=generator)) < self.recipe.shifted and len(versions) > 1:
            number = 1 + draw(len(versions) - 1)
        frames, size = self.recipe.window_frames, self.codec.config.frame_size
        codes = versions[number]
        first = draw(max(0, codes.shape[1] - frames) + 1)
        codes = codes[:, first : first + frames]
        cut = recording.pcm[first * size : (first + frames) * size]
        return _Window(
            pcm=F.pad(cut, (0, frames * size - len(cut)))[None],
            codes=torch.cat([codes, codes[:, -1:].expand(-1, frames - codes.shape[1])], 1),
            tracks=recording.tracks.cut(first * size // HOP, frames * size // HOP),
        )


def default_steps(codec: Mimi) -> int:
    """Default number of training steps of a codec's decoder: none if the codec is large."""
    return STEPS if sum(p.numel() for p in codec.parameters()) < SMALL else 0
