"""The first phase of codec training: encoder and codebooks.

Two small heads read the quantized latent. One predicts the log spectrum of the frame, so that codes
describe the sound rather than its phase; the other predicts phones, so that codebook 0 carries
them. No waveform is decoded, which makes this phase fast. Dropout of acoustic codebooks, down to
codebook 0 alone, orders them by importance. Afterwards `whole_codec` trains encoder and decoder
together.

The state file holds weights, optimizer, codebook averages and the random generator, and batches
depend on (seed, step) alone: a killed run resumes exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causerie.codec.conv import CausalConv1d
from causerie.codec.mimi import Mimi
from causerie.codec.seanet import Decoder, ResidualBlock
from causerie.codec.transformer import Layer as TransformerLayer
from causerie.config import MimiConfig
from causerie.train import spectral_losses
from causerie.train.loop import OnStep
from codec_training.aligned_speech import SYMBOLS, SpeechFolder
from codec_training.quantizer import BranchTrainer
from codec_training.windows import WindowRecipe, train_on_windows

PHONES_PER_FRAME = 4
MEL_HOP, MEL_FFT, NUM_MELS, NUM_LOW_BINS = 240, 1024, 80, 64


@dataclass(frozen=True, kw_only=True)
class EncoderRecipe(WindowRecipe):
    """Everything a run depends on, apart from the data.

    Attributes:
        window_frames: length of the windows cut from utterances.
        quantize_from: first step with quantized latents.
        dropout: probability that a step leaves out acoustic codebooks; their number is uniform.
    """

    batch: int = 24
    window_frames: int = 25
    lr: float = 8e-4
    quantize_from: int = 300
    dropout: float = 0.85
    spectrum_weight: float = 1.0
    phone_weight: float = 0.2
    commitment_weight: float = 0.25


class LatentHeads(nn.Module):
    """Predict a frame's spectrum and its phones from the quantized latent."""

    def __init__(self, dim: int, frame_size: int) -> None:
        super().__init__()
        self.hops = frame_size // MEL_HOP
        last = nn.Conv1d(2 * dim, self.hops * (NUM_MELS + NUM_LOW_BINS), 1)
        last.bias = nn.Parameter(torch.full((last.out_channels,), -4.5))  # the mean of log spectra
        self.spectrum = nn.Sequential(
            nn.Conv1d(dim, 2 * dim, 3), nn.GELU(), nn.Conv1d(2 * dim, 2 * dim, 1), nn.GELU(), last
        )  # fmt: skip
        self.phones = nn.Conv1d(dim, PHONES_PER_FRAME * (len(SYMBOLS) + 1), 1)

    def spectrum_of(self, latent: Tensor) -> Tensor:
        """Log spectra (B, mels + low bins, T · hops) from latents (B, D, T); causal."""
        out: Tensor = self.spectrum(F.pad(latent, (2, 0)))
        frames: Tensor = out.unflatten(1, (-1, self.hops))
        return frames.permute(0, 1, 3, 2).flatten(2)

    def phones_of(self, semantic: Tensor) -> Tensor:
        """Logits (B, phones, T · 4) from the semantic branch's latent."""
        out: Tensor = self.phones(semantic)
        frames: Tensor = out.unflatten(1, (-1, PHONES_PER_FRAME))
        return frames.permute(0, 1, 3, 2).flatten(2)


class EncoderPhase:
    """Losses of encoder training.

    Args:
        ready: the codebooks are trained; otherwise k-means initializes them.
        frozen: trained codebooks stay as they are, so codes keep their meaning.
    """

    def __init__(
        self, codec: Mimi, recipe: EncoderRecipe, *, ready: bool = False, frozen: bool = False
    ) -> None:
        self.codec, self.recipe = codec, recipe
        self.heads = LatentHeads(codec.config.dim, codec.config.frame_size)
        quantizer = codec.quantizer
        self.branches = {
            "semantic": BranchTrainer(quantizer.semantic, ready=ready, frozen=frozen),
            "acoustic": BranchTrainer(quantizer.acoustic, ready=ready, frozen=frozen),
        }
        trained = [codec.encoder, codec.encoder_transformer, codec.downsample, quantizer]
        self.parameters = [p for module in [*trained, self.heads] for p in module.parameters()]
        self.modules: dict[str, nn.Module] = {"codec": codec, "heads": self.heads}

    def targets(self, pcm: Tensor) -> Tensor:
        spectrum = spectral_losses.magnitudes(pcm, MEL_FFT, MEL_HOP)
        filters = spectral_losses.mel_filters(MEL_FFT, NUM_MELS, self.codec.config.sample_rate)
        both = torch.cat((filters @ spectrum, spectrum[:, 1 : NUM_LOW_BINS + 1]), dim=1)
        return torch.log(both + spectral_losses.FLOOR)

    def __call__(
        self, step: int, pcm: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        total, numbers, _ = self.quantize(step, pcm, labels, generator)
        return total, numbers

    def quantize(
        self, step: int, pcm: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float], Tensor]:
        """Loss, numbers and quantized latent (B, D, T) of waveforms (B, 1, N)."""
        recipe = self.recipe
        target = self.targets(pcm)
        all_acoustic = self.codec.config.num_codebooks - 1
        draw = torch.rand((), generator=generator).item()
        dropped = draw < recipe.dropout
        num_acoustic = int(draw / recipe.dropout * all_acoustic) if dropped else all_acoustic
        with torch.autocast(pcm.device.type, torch.bfloat16, enabled=recipe.autocasts):
            latent = self.codec.latent(pcm)
            if step < recipe.quantize_from:
                semantic = latent
                quantized, commitment = latent, latent.new_zeros(())
            else:
                with torch.autocast(pcm.device.type, enabled=False):
                    latent = latent.float()
                    semantic, first = self.branches["semantic"](latent, 1, generator)
                    acoustic, rest = self.branches["acoustic"](latent, num_acoustic, generator)
                quantized = semantic + acoustic if num_acoustic else semantic
                commitment = first + rest / all_acoustic
            spectrum = self.heads.spectrum_of(quantized).float()
            phones = self.heads.phones_of(semantic).float()
        error = F.l1_loss(spectrum, target)
        phone_error = F.cross_entropy(phones, labels)
        total = recipe.spectrum_weight * error + recipe.phone_weight * phone_error
        total = total + recipe.commitment_weight * commitment
        depth = str(num_acoustic) if dropped else "all"
        numbers = {
            f"spectrum_{depth}": error.item(),
            "phones": phone_error.item(),
            "commitment": commitment.item(),
        }
        return total, numbers, quantized

    def extra_state(self) -> dict[str, Any]:
        return {name: branch.state_dict() for name, branch in self.branches.items()}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        for name, branch in self.branches.items():
            branch.load_state_dict(state[name])


def new_codec(config: MimiConfig, seed: int, start_from: dict[str, Tensor] | None) -> Mimi:
    """An initialized codec, with the weights of `start_from` where given."""
    torch.manual_seed(seed)
    codec = Mimi(config)
    initialize(codec)
    if start_from is not None:
        unknown = codec.load_state_dict(start_from, strict=False).unexpected_keys
        assert not unknown, f"weights that the codec does not have: {unknown}"
    return codec


def initialize(codec: Mimi) -> None:
    """Scale the initial weights so that a short training converges; each line cut the loss."""
    with torch.no_grad():
        first = codec.encoder.layers[0]
        assert isinstance(first, CausalConv1d)
        first.weight.mul_(10)  # speech has an RMS near 0.07, where ELU is linear
        assert isinstance(codec.decoder, Decoder)
        last = codec.decoder.layers[-1]
        assert isinstance(last, CausalConv1d)
        last.weight.mul_(0.1)
        for module in codec.modules():
            if isinstance(module, ResidualBlock):
                module.widen.weight.mul_(0.2)  # residual branches start small
            if isinstance(module, TransformerLayer):  # 0.01 takes too long to grow
                module.attention_scale.fill_(0.3)
                module.ffn_scale.fill_(0.3)


def train_encoder(
    config: MimiConfig,
    recipe: EncoderRecipe,
    data: Path,
    out: Path,
    *,
    on_step: OnStep | None = None,
    allow_changes: bool = False,
) -> Mimi:
    """Train up to ``recipe.steps``, resuming from ``out/state.pt`` if it exists.

    Args:
        on_step: called after every step with its number and losses.
        allow_changes: resume even if the recipe has changed.
    """
    phase = EncoderPhase(new_codec(config, recipe.seed, None), recipe)
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
    return phase.codec


def first_codebooks(state: Path, num_codebooks: int) -> dict[str, dict[str, Tensor]]:
    """Weights of "codec" and "heads" in a state file, cut to the first `num_codebooks`.

    Without the weights of the decoder, which this phase does not train.
    """
    modules: dict[str, dict[str, Tensor]] = torch.load(state, weights_only=True)["modules"]
    untrained = ("upsample.", "decoder_transformer.", "decoder.")
    codec = {k: tensor for k, tensor in modules["codec"].items() if not k.startswith(untrained)}
    name = "quantizer.acoustic.centroids"
    codec[name] = codec[name][: num_codebooks - 1].clone()
    return {"codec": codec, "heads": modules["heads"]}
