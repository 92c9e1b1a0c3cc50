"""Teaches the decoder of a codec one voice, in which it then says whatever codes it is given.

The encoder and the codebooks rest, so codes stay what they were, and a language model that knows
them needs no training at all. Half of what is learned is codes of the recordings in another pitch
and with other formants, whose sound is to be that of the recordings as they are: so the decoder
takes from codes what is said, and the voice from itself.

Knows nothing of texts or language models. It works on the CPU.
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
from causerie.train import spectral_losses
from causerie.train.loop import Descent, Loop, OnStep

#: Codecs of fewer parameters have a decoder that learned few voices: it is taught the new one.
SMALL = 20_000_000
STEPS = 200
SAVE_EVERY = 50
#: The vocoder's window, 43 ms at 24 kHz, and its hop.
WINDOW, HOP = 1024, 256


@dataclass(frozen=True, kw_only=True)
class VoiceRecipe:
    """Everything a run depends on, beside codec and recordings.

    Attributes:
        window_frames: length of what is cut from recordings.
        shifted: part of the windows whose codes are of another pitch.
        versions: other pitches of each recording, drawn once …
        furthest: … up to so many times higher or lower.
        noisy_codes: part of the deepest codes that are exchanged for others.
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
    """Train a codec's decoder in place, resuming from the file `state` where it exists.

    Args:
        recordings: of the voice.
        num_codebooks: that the decoder will be given.

    Raises:
        ConfigError: the file is of another run.
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


def pitched(pcm: Tensor, factor: float, sample_rate: int) -> Tensor:
    """A waveform (N,) with pitch and formants times `factor`, as long and as fast as it was.

    A phase vocoder makes it longer by the factor, and resampling shortens it again.
    """
    window = torch.hann_window(WINDOW)
    padded = F.pad(pcm, (0, max(0, WINDOW - len(pcm))))
    spectrum = torch.stft(padded, WINDOW, HOP, window=window, return_complex=True)  # (bins, frames)
    places = torch.arange(0, spectrum.shape[1] - 1, 1 / factor)
    before = places.long()
    after, share = before + 1, places - before
    size = (1 - share) * spectrum[:, before].abs() + share * spectrum[:, after].abs()
    usual = 2 * math.pi * HOP * torch.arange(WINDOW // 2 + 1)[:, None] / WINDOW
    turned = spectrum[:, after].angle() - spectrum[:, before].angle() - usual
    turned = turned - 2 * math.pi * torch.round(turned / (2 * math.pi)) + usual
    phase = torch.cumsum(torch.cat([spectrum[:, :1].angle(), turned[:, :-1]], 1), 1)
    longer = torch.istft(torch.polar(size, phase), WINDOW, HOP, window=window).numpy()
    found = torch.from_numpy(resample(longer, round(sample_rate * factor), sample_rate))
    return F.pad(found[: len(pcm)], (0, max(0, len(pcm) - len(found))))


@dataclass
class _Phase:
    """Windows of recordings, and what the decoder makes of their codes."""

    codec: Mimi
    recordings: Sequence[Audio]
    recipe: VoiceRecipe
    num_codebooks: int
    _pool: list[tuple[Tensor, list[Tensor]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        codec = self.codec
        trained = [codec.upsample, codec.decoder_transformer, codec.decoder]
        self.parameters = [p for module in trained for p in module.parameters()]
        self.modules: dict[str, nn.Module] = {"codec": codec}

    def extra_state(self) -> dict[str, Any]:
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        assert not state

    def loss(self, generator: torch.Generator) -> Tensor:
        """Distance of a batch of windows."""
        codec, recipe = self.codec, self.recipe
        pool = self._pool or self._encoded()
        self._pool = pool
        drawn = [self._window(pool, generator) for _ in range(recipe.batch)]
        pcm, codes = (torch.stack(parts) for parts in zip(*drawn, strict=True))
        depth = torch.arange(codes.shape[1]) / max(1, codes.shape[1] - 1)  # 0 … 1
        chance = (recipe.noisy_codes * depth)[None, :, None]
        swap = torch.rand(codes.shape, generator=generator) < chance
        order = torch.randperm(len(codes), generator=generator)
        codes = torch.where(swap, codes[order], codes)
        with torch.no_grad():
            latent = codec.quantizer.decode(codes)
        with torch.autocast("cpu", torch.bfloat16):
            decoded = codec.waveform(latent).float()
        return spectral_losses.multi_scale_mel(decoded, pcm, codec.config.sample_rate)

    def _encoded(self) -> list[tuple[Tensor, list[Tensor]]]:
        """Each recording, and its codes (K, T) as it is and in other pitches."""
        rate, generator = self.codec.config.sample_rate, torch.Generator().manual_seed(0)
        pool = []
        for audio in self.recordings:
            pcm = torch.from_numpy(audio.resampled(rate))
            versions = [pcm]
            for _ in range(self.recipe.versions):
                power = 2 * float(torch.rand((), generator=generator)) - 1
                versions.append(pitched(pcm, self.recipe.furthest**power, rate))
            codes = [self.codec.encode(one[None, None], self.num_codebooks)[0] for one in versions]
            pool.append((pcm, codes))
        return pool

    def _window(
        self, pool: Sequence[tuple[Tensor, list[Tensor]]], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """A waveform (1, N) and codes (K, frames) of the same time; silence past the end."""

        def draw(count: int) -> int:
            return int(torch.randint(count, (), generator=generator))

        pcm, versions = pool[draw(len(pool))]
        number = 0
        if float(torch.rand((), generator=generator)) < self.recipe.shifted and len(versions) > 1:
            number = 1 + draw(len(versions) - 1)
        frames, size = self.recipe.window_frames, self.codec.config.frame_size
        codes = versions[number]
        first = draw(max(0, codes.shape[1] - frames) + 1)
        codes = codes[:, first : first + frames]
        cut = pcm[first * size : (first + frames) * size]
        codes = torch.cat([codes, codes[:, -1:].expand(-1, frames - codes.shape[1])], 1)
        return F.pad(cut, (0, frames * size - len(cut)))[None], codes


def usual_steps(codec: Mimi) -> int:
    """How long a codec's decoder is trained where nobody says: not at all if it is large."""
    return STEPS if sum(p.numel() for p in codec.parameters()) < SMALL else 0
