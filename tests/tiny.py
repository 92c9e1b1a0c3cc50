"""Tiny models for tests: every size differs from its neighbours, every weight is random.

Weights have the scale of a trained network, so that an error anywhere shows in the result.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn

from causerie.checkpoint import Checkpoint
from causerie.codec.mimi import Mimi
from causerie.codec.source_filter import SourceFilter
from causerie.config import (
    CSMConfig,
    LlamaConfig,
    MimiConfig,
    RopeScaling,
    SourceFilterConfig,
)
from causerie.model.csm import CSM
from causerie.text.front_end import FrontEnd
from causerie.text.tokenizer import BOS, EOS, TextTokenizer

NUM_CODEBOOKS, CODEBOOK_SIZE = 5, 32
SPECIAL_TOKENS = (BOS, EOS, "<|AUDIO|>", "<|audio_eos|>")


def csm_config(max_frames: int = 128) -> CSMConfig:
    """A CSM of two and three layers, 100 thousand parameters."""
    # Short wavelengths, so that all three ranges of the scaling occur within a few heads.
    scaling = RopeScaling(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_length=64)
    return CSMConfig(
        backbone=LlamaConfig(
            num_layers=3, dim=64, num_heads=4, num_kv_heads=2, head_dim=16, ffn_dim=96,
            rope_scaling=scaling,
        ),
        depth=LlamaConfig(
            num_layers=2, dim=48, num_heads=6, num_kv_heads=3, head_dim=8, ffn_dim=80,
            rope_scaling=scaling,
        ),
        num_codebooks=NUM_CODEBOOKS,
        audio_vocab_size=CODEBOOK_SIZE + 3,
        text_vocab_size=256 + len(SPECIAL_TOKENS),
        max_frames=max_frames,
    )  # fmt: skip


def mimi_config() -> MimiConfig:
    """A Mimi of Kyutai's strides, frame size and context, with few channels."""
    return MimiConfig(
        num_filters=4, dim=32, num_layers=2, num_heads=2, ffn_dim=48,
        num_codebooks=NUM_CODEBOOKS, codebook_size=CODEBOOK_SIZE, codebook_dim=8,
    )  # fmt: skip


def source_filter_config() -> MimiConfig:
    """The same Mimi with a source-filter decoder, 20 thousand parameters."""
    decoder = SourceFilterConfig(
        front_dim=24, front_layers=2, front_kernel=3, dim=16, num_layers=2, kernel=4
    )
    return dataclasses.replace(mimi_config(), decoder=decoder)


def csm(seed: int = 0, config: CSMConfig | None = None) -> CSM:
    """A CSM of random weights."""
    torch.manual_seed(seed)
    model = CSM(config or csm_config()).eval()
    randomize(model)
    return model


def mimi(seed: int = 0, config: MimiConfig | None = None) -> Mimi:
    """A Mimi of random weights."""
    torch.manual_seed(seed)
    codec = Mimi(config or mimi_config()).eval()
    randomize(codec)
    for branch in (codec.quantizer.semantic, codec.quantizer.acoustic):
        nn.init.normal_(branch.centroids)
    if isinstance(codec.decoder, SourceFilter):
        with torch.no_grad():  # gains near one: exp makes errors out of anything larger
            codec.decoder.output.weight.mul_(0.3)
    return codec


@torch.no_grad()
def randomize(module: nn.Module) -> None:
    """Scale linear maps by their inputs; take norms, biases and layer scales off their defaults."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=part.in_features**-0.5)
        elif isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=0.5)
    for name, weight in module.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(weight, std=0.1)
        elif name.endswith("scale"):
            nn.init.uniform_(weight, 0.2, 0.4)
        elif "norm" in name:
            nn.init.uniform_(weight, 0.8, 1.2)


def tokenizer() -> TextTokenizer:
    """One token a byte, and the special ones."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    built = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    built.decoder = decoders.ByteLevel()
    built.add_special_tokens([AddedToken(t, special=True) for t in SPECIAL_TOKENS])
    return TextTokenizer(built)


def checkpoint(folder: Path = Path("."), seed: int = 0, max_frames: int = 128) -> Checkpoint:
    """A tiny model with its tokenizer, of kind "plain"."""
    return Checkpoint(
        name="tiny",
        model=csm(seed, csm_config(max_frames)),
        codec=mimi(seed),
        tokenizer=tokenizer(),
        front_end=FrontEnd("plain"),
        folder=folder,
    )


def frames(config: CSMConfig, rows: str = "tttaaasttaa", batch: int = 2) -> tuple[Tensor, Tensor]:
    """Random frames (B, S, K+1) and mask, a letter a row: text, audio, or stop."""
    num_codebooks = config.num_codebooks
    shape = (batch, len(rows))
    values = torch.zeros(*shape, num_codebooks + 1, dtype=torch.long)
    mask = torch.zeros(*shape, num_codebooks + 1, dtype=torch.bool)
    for row, kind in enumerate(rows):
        if kind == "t":
            values[:, row, -1] = torch.randint(256, (batch,))
            mask[:, row, -1] = True
        else:
            mask[:, row, :-1] = True
            if kind == "a":
                codes = torch.randint(1, CODEBOOK_SIZE, (batch, num_codebooks))
                values[:, row, :-1] = codes
    return values, mask
