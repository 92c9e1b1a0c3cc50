"""Sizes of a CSM from the shapes of its tensors, for checkpoints without a configuration."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from causerie.checkpoint.keymap import CSMLayout, csm_name
from causerie.config import CSMConfig, LlamaConfig, csm_1b, marvis_250m, miso_8b
from causerie.errors import CheckpointError

Shapes = Mapping[str, tuple[int, ...]]

#: Models whose transformers are recognized, with their number of heads.
_PUBLISHED = (csm_1b(), marvis_250m(), miso_8b())
_TRANSFORMERS = [llama for model in _PUBLISHED for llama in (model.backbone, model.depth)]


def csm_from_shapes(shapes: Shapes, layout: CSMLayout) -> CSMConfig:
    """The sizes of a CSM whose tensors have these shapes.

    Shapes do not show three things. The number of heads: a transformer with the sizes of a
    published one has its heads, another one is assumed to have heads of 128, or of the next
    smaller power of two that divides queries and keys. The rotary embedding and the number of
    positions: all published models have those of csm-1b.

    Raises:
        CheckpointError: a tensor that shows a size is missing.
    """
    try:
        vocab = shapes[csm_name("codebook0_head.weight", layout)][0]
        return CSMConfig(
            backbone=_llama("backbone", shapes, layout),
            depth=_llama("depth", shapes, layout),
            num_codebooks=shapes[csm_name("audio_embedding.weight", layout)][0] // vocab,
            audio_vocab_size=vocab,
            text_vocab_size=shapes[csm_name("text_embedding.weight", layout)][0],
        )
    except KeyError as error:
        raise CheckpointError(f"the tensor {error.args[0]} is missing") from error


def is_published(config: CSMConfig) -> bool:
    """Whether both transformers have the sizes of published ones."""
    return config.backbone in _TRANSFORMERS and config.depth in _TRANSFORMERS


def _llama(stack: str, shapes: Shapes, layout: CSMLayout) -> LlamaConfig:
    def shape(ours: str, layer: int = 0) -> tuple[int, ...]:
        return shapes[csm_name(f"{stack}.layers.{layer}.{ours}", layout)]

    num_layers = next(
        number
        for number in itertools.count()
        if csm_name(f"{stack}.layers.{number}.attention_norm.weight", layout) not in shapes
    )
    queries, dim = shape("attention.q_proj.weight")
    keys, ffn_dim = shape("attention.k_proj.weight")[0], shape("ffn.gate_proj.weight")[0]
    for llama in _TRANSFORMERS:
        head_dim = llama.head_dim
        theirs = (llama.num_layers, llama.dim, llama.num_heads * head_dim, llama.ffn_dim)
        if (num_layers, dim, queries, ffn_dim, keys) == (*theirs, llama.num_kv_heads * head_dim):
            return llama
    head_dim = next(d for d in (128, 64, 32, 16, 8, 4, 2, 1) if queries % d == keys % d == 0)
    return LlamaConfig(
        num_layers=num_layers,
        dim=dim,
        num_heads=queries // head_dim,
        num_kv_heads=keys // head_dim,
        head_dim=head_dim,
        ffn_dim=ffn_dim,
    )
