"""The models to time: petit, and random weights of csm-1b's shapes or of tiny shapes.

Speed does not depend on the values of the weights, as long as these are ordinary numbers.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from causerie.checkpoint.load import Checkpoint, load
from causerie.codec.mimi import Mimi
from causerie.config import CSMConfig, LlamaConfig, MimiConfig, csm_1b
from causerie.model.csm import CSM
from causerie.prompt import Segment
from causerie.voices import Voice, load_voice

#: Names of the models.
SUBJECTS = ("csm-1b", "petit", "tiny")
#: Count of random numbers; larger tensors repeat them.
NUM_DRAWN = 2**20 + 7
#: Seconds of the noise that replaces a missing voice.
VOICE_S = 10.0


def load_subject(name: str, dtype: torch.dtype, device: torch.device) -> Checkpoint:
    """The checkpoint of a subject."""
    petit = load("petit", device=device if name == "petit" else torch.device("cpu"), dtype=dtype)
    if name == "petit":
        return petit
    config, codec_config = sizes(name)
    with torch.device("meta"):
        model, codec = CSM(config).to(dtype), Mimi(codec_config)
    for part in (model, codec):
        part.to_empty(device=device)
        fill(part)
    return Checkpoint(
        name=name,
        model=model.eval(),
        codec=codec.eval(),
        tokenizer=petit.tokenizer,
        front_end=petit.front_end,
        folder=Path(name),
    )


def sizes(name: str) -> tuple[CSMConfig, MimiConfig]:
    """Sizes of model and codec; "tiny" runs in a second, to try a benchmark out."""
    assert name in SUBJECTS
    if name == "petit":
        petit = load("petit")
        return petit.model.config, petit.codec.config
    if name == "csm-1b":
        return csm_1b(), MimiConfig()
    llama = LlamaConfig(num_layers=2, dim=32, num_heads=4, num_kv_heads=2, head_dim=8, ffn_dim=64)
    model = CSMConfig(
        backbone=llama, depth=llama, num_codebooks=4, audio_vocab_size=67, text_vocab_size=512
    )
    codec = MimiConfig(
        num_filters=4, dim=32, num_layers=2, num_heads=2, ffn_dim=64,
        num_codebooks=4, codebook_size=64, codebook_dim=8,
    )  # fmt: skip
    return model, codec


def voice_of(checkpoint: Checkpoint) -> Voice:
    """The first voice of a checkpoint, or some seconds of noise if it has none."""
    for name, path in checkpoint.voices.items():
        return load_voice(name, path)
    codec = checkpoint.codec.config
    shape = (checkpoint.model.config.num_codebooks, int(VOICE_S * codec.frame_rate))
    codes = torch.randint(1, codec.codebook_size, shape, generator=torch.Generator().manual_seed(0))
    return Voice(name="noise", segments=(Segment(speaker=0, text="Said before.", codes=codes),))


@torch.no_grad()
def fill(module: nn.Module) -> None:
    """Fill a module with random weights of a trained network's scale."""
    weights = module.state_dict()
    drawn = torch.rand(NUM_DRAWN, generator=torch.Generator().manual_seed(0)) - 0.5
    drawn = drawn.to(next(iter(weights.values())).device)  # once: a copy to a GPU takes a while
    for name, tensor in weights.items():
        if name.endswith(("initialized", "cluster_usage", "norm.weight", "scale")):
            tensor.fill_(1)
        elif tensor.is_floating_point():
            width = 2.0 if "embed" in name or "centroids" in name else _fan_in(tensor) ** -0.5
            _repeat(drawn, tensor)
            tensor.mul_(12**0.5 * width)  # the standard deviation of uniform numbers is 12^-½


def _fan_in(tensor: Tensor) -> int:
    return max(1, tensor[0].numel() if tensor.dim() > 1 else tensor.numel())


def _repeat(numbers: Tensor, into: Tensor) -> None:
    flat = into.reshape(-1)
    assert flat.data_ptr() == into.data_ptr(), "a view"
    for start in range(0, len(flat), len(numbers)):
        piece = flat[start : start + len(numbers)]
        piece.copy_(numbers[: len(piece)])
