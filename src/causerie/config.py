"""Sizes of the models, as frozen dataclasses. Knows nothing of torch, files or tensor names."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from causerie.errors import ConfigError

#: Samples from one set of parameters of the source-filter decoder to the next: 5 ms at 24 kHz.
HOP = 120


@dataclass(frozen=True, kw_only=True)
class RopeScaling:
    """Llama-3's rescaling of rotary frequencies.

    Wavelengths below ``original_length / high_freq_factor`` stay, those above
    ``original_length / low_freq_factor`` are divided by ``factor``, between them it blends.
    """

    factor: float = 32.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_length: int = 8192


@dataclass(frozen=True, kw_only=True)
class LlamaConfig:
    """Sizes of one Llama-style transformer (the backbone, or the depth decoder)."""

    num_layers: int
    dim: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    ffn_dim: int
    norm_eps: float = 1e-5
    rope_theta: float = 500_000.0
    rope_scaling: RopeScaling | None = field(default_factory=RopeScaling)

    def __post_init__(self) -> None:
        _require_positive(self, "num_layers", "dim", "num_heads", "num_kv_heads", "ffn_dim")
        if self.num_heads % self.num_kv_heads:
            raise ConfigError(
                f"num_heads ({self.num_heads}) must be a multiple of num_kv_heads "
                f"({self.num_kv_heads})"
            )
        if self.head_dim <= 0 or self.head_dim % 2:
            raise ConfigError(f"head_dim must be even and positive, not {self.head_dim}")


@dataclass(frozen=True, kw_only=True)
class CSMConfig:
    """Sizes of a Conversational Speech Model.

    Attributes:
        num_codebooks: K, codes per frame, all of them generated.
        audio_vocab_size: V, rows per codebook in the audio table; the codec's codes come first.
        max_frames: positions of the backbone, prompt and reply together.
    """

    backbone: LlamaConfig
    depth: LlamaConfig
    num_codebooks: int = 32
    audio_vocab_size: int = 2051
    text_vocab_size: int = 128_256
    max_frames: int = 2048

    def __post_init__(self) -> None:
        _require_positive(
            self, "num_codebooks", "audio_vocab_size", "text_vocab_size", "max_frames"
        )
        if self.num_codebooks < 2:
            raise ConfigError("num_codebooks must be at least 2: one semantic, one acoustic")


@dataclass(frozen=True, kw_only=True)
class SourceFilterConfig:
    """Sizes of the source-filter decoder.

    Attributes:
        front_dim, front_layers, front_kernel: of the blocks that see one column per frame.
        dim, num_layers, kernel: of the blocks that see `steps` columns per frame.
        expansion: width inside a block, as a multiple of its own.
        steps: columns per frame.
        hops_per_step: sets of parameters per column, one for each hop of 120 samples.
    """

    front_dim: int = 256
    front_layers: int = 3
    front_kernel: int = 5
    dim: int = 192
    num_layers: int = 6
    kernel: int = 7
    expansion: int = 3
    steps: int = 8
    hops_per_step: int = 2

    def __post_init__(self) -> None:
        _require_positive(
            self, "front_dim", "front_layers", "front_kernel", "dim", "num_layers", "kernel",
            "expansion", "steps", "hops_per_step",
        )  # fmt: skip

    @property
    def frame_size(self) -> int:
        """Samples per frame."""
        return HOP * self.steps * self.hops_per_step


@dataclass(frozen=True, kw_only=True)
class MimiConfig:
    """Sizes of a Mimi codec. The defaults are Kyutai's.

    Attributes:
        num_filters: channels of SEANet next to the waveform.
        dim: D, channels of the latent, and width of the two transformers.
        ratios: upsampling of the decoder's stages in order; the encoder uses them reversed.
        context: 25 Hz steps that a transformer position attends to, itself included.
        num_codebooks: K, the first of which is semantic.
        decoder: a source-filter decoder in place of SEANet's, which is Mimi's own.
    """

    sample_rate: int = 24_000
    num_filters: int = 64
    dim: int = 512
    ratios: tuple[int, ...] = (8, 6, 5, 4)
    kernel: int = 7
    residual_kernel: int = 3
    last_kernel: int = 3
    compress: int = 2
    num_layers: int = 8
    num_heads: int = 8
    ffn_dim: int = 2048
    context: int = 250
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    num_codebooks: int = 32
    codebook_size: int = 2048
    codebook_dim: int = 256
    decoder: SourceFilterConfig | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "ratios", tuple(self.ratios))  # JSON has lists only
        _require_positive(
            self, "sample_rate", "num_filters", "dim", "num_layers", "num_heads", "ffn_dim",
            "context", "num_codebooks", "codebook_size", "codebook_dim",
        )  # fmt: skip
        if self.dim % self.num_heads or (self.dim // self.num_heads) % 2:
            raise ConfigError(f"dim {self.dim} does not split into {self.num_heads} even heads")
        if not self.ratios or any(ratio < 1 for ratio in self.ratios):
            raise ConfigError(f"ratios must be positive, not {self.ratios}")
        own = self.decoder and (24_000, self.decoder.frame_size)
        if own and own != (self.sample_rate, self.frame_size):
            raise ConfigError(
                f"decoder makes frames of {own[1]} samples at {own[0]} Hz, and the encoder has "
                f"frames of {self.frame_size} at {self.sample_rate} Hz"
            )

    @property
    def stride(self) -> int:
        """Samples per step of the transformers: 960 at 24 kHz, which is 25 Hz."""
        return math.prod(self.ratios)

    @property
    def frame_size(self) -> int:
        """Samples per frame: twice the stride, 1,920 at 24 kHz."""
        return 2 * self.stride

    @property
    def frame_rate(self) -> float:
        """Frames per second: 12.5."""
        return self.sample_rate / self.frame_size


def csm_1b() -> CSMConfig:
    """The sizes of sesame/csm-1b: 1.55 billion parameters."""
    return CSMConfig(
        backbone=LlamaConfig(
            num_layers=16, dim=2048, num_heads=32, num_kv_heads=8, head_dim=64, ffn_dim=8192
        ),
        depth=LlamaConfig(
            num_layers=4, dim=1024, num_heads=8, num_kv_heads=2, head_dim=128, ffn_dim=8192
        ),
    )


def marvis_250m() -> CSMConfig:
    """The sizes of Marvis-AI/marvis-tts-250m: 0.57 billion parameters, SmolLM2's text tokens."""
    return CSMConfig(
        backbone=LlamaConfig(
            num_layers=6, dim=1536, num_heads=12, num_kv_heads=3, head_dim=128, ffn_dim=8192
        ),
        depth=LlamaConfig(
            num_layers=4, dim=1024, num_heads=8, num_kv_heads=2, head_dim=128, ffn_dim=4096
        ),
        text_vocab_size=49_152,
    )


def miso_8b() -> CSMConfig:
    """The sizes of MisoLabs/MisoTTS: 8.2 billion parameters."""
    return CSMConfig(
        backbone=LlamaConfig(
            num_layers=32, dim=4096, num_heads=32, num_kv_heads=8, head_dim=128, ffn_dim=14_336
        ),
        depth=LlamaConfig(
            num_layers=8, dim=1536, num_heads=24, num_kv_heads=6, head_dim=64, ffn_dim=6912
        ),
    )


def _require_positive(config: Any, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int) or value <= 0:
            raise ConfigError(
                f"{type(config).__name__}.{name} must be a positive integer, not {value!r}"
            )
