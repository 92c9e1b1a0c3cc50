"""Maps the tensor names of published layouts to ours. No files, no network.

A layout is a list of entries, each with our name, the foreign names with the same numbers, and the
arrangement of the numbers there. The list is generated for the sizes of a model, so it determines
a checkpoint's missing, surplus and misshapen tensors.

    csm   "transformers"  sesame/csm-1b's sharded copy, anything that transformers saves
          "original"      sesame/csm-1b's model.safetensors and ckpt.pt: SesameAILabs/csm
    mimi  "transformers"  kyutai/mimi, and codec_model.* inside a CSM of transformers
          "kyutai"        the file that moshi reads
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from causerie.config import CSMConfig, MimiConfig

#: Prefixes of the codec's tensor names, in our own layout and in that of transformers.
CODEC_PREFIX, FOREIGN_CODEC_PREFIX = "codec.", "codec_model."

CSMLayout = Literal["transformers", "original"]
MimiLayout = Literal["transformers", "kyutai"]


@dataclass(frozen=True)
class Form:
    """Conversion of foreign tensors to one of ours, and back; on meta tensors too, for shapes."""

    join: Callable[[Sequence[Tensor]], Tensor]
    split: Callable[[Tensor], list[Tensor]]


@dataclass(frozen=True)
class Entry:
    """One of our tensors, and its foreign ones in the order of the form."""

    ours: str
    theirs: tuple[str, ...]
    form: Form


#: Alternative names of a tensor: transformers' two for the shared audio table, its names in memory
#: since version 5, and moshi's older and newer ones. A file may have both if they are equal.
CSM_ALIASES: dict[CSMLayout, tuple[tuple[str, str], ...]] = {
    "transformers": (
        (
            r"^backbone_model\.embed_tokens\.embed_audio_tokens\.weight$",
            "depth_decoder.model.embed_tokens.weight",
        ),
    ),
    "original": (),
}
MIMI_ALIASES: dict[MimiLayout, tuple[tuple[str, str], ...]] = {
    "transformers": (
        (r"^(en|de)coder\.\1coder_seanet\.", r"\1coder."),
        (r"^(?:en|de)coder\.((?:en|de)coder_transformer|downsample|upsample)\.", r"\1."),
    ),
    "kyutai": (
        (r"^((?:en|de)coder_transformer\..*)\.in_projs\.0\.weight$", r"\1.in_proj_weight"),
        (r"^((?:en|de)coder_transformer\..*)\.out_projs\.0\.weight$", r"\1.out_proj.weight"),
        (r"^(quantizer\..*\._codebook)\.inited$", r"\1._initialized"),
        (r"^(quantizer\..*\._codebook)\.cluster_size$", r"\1.cluster_usage"),
        (r"^(quantizer\..*\._codebook)\.embed_(?:avg|sum)$", r"\1.embedding_sum"),
    ),
}

# ours: (transformers, original)
_CSM = {
    "text_embedding.weight": ("embed_text_tokens.weight", "text_embeddings.weight"),
    "audio_embedding.weight": (
        "depth_decoder.model.embed_tokens.weight",
        "audio_embeddings.weight",
    ),
    "codebook0_head.weight": ("lm_head.weight", "codebook0_head.weight"),
    "projection.weight": (
        "depth_decoder.model.inputs_embeds_projector.weight",
        "projection.weight",
    ),
    "audio_heads": ("depth_decoder.codebooks_head.weight", "audio_head"),
    "backbone.norm.weight": ("backbone_model.norm.weight", "backbone.norm.scale"),
    "depth.norm.weight": ("depth_decoder.model.norm.weight", "decoder.norm.scale"),
}
_CSM_STACKS = {
    "backbone": ("backbone_model", "backbone"),
    "depth": ("depth_decoder.model", "decoder"),
}
_CSM_LAYER = {
    "attention.q_proj.weight": ("self_attn.q_proj.weight", "attn.q_proj.weight"),
    "attention.k_proj.weight": ("self_attn.k_proj.weight", "attn.k_proj.weight"),
    "attention.v_proj.weight": ("self_attn.v_proj.weight", "attn.v_proj.weight"),
    "attention.o_proj.weight": ("self_attn.o_proj.weight", "attn.output_proj.weight"),
    "ffn.gate_proj.weight": ("mlp.gate_proj.weight", "mlp.w1.weight"),
    "ffn.up_proj.weight": ("mlp.up_proj.weight", "mlp.w3.weight"),
    "ffn.down_proj.weight": ("mlp.down_proj.weight", "mlp.w2.weight"),
    "attention_norm.weight": ("input_layernorm.weight", "sa_norm.scale"),
    "ffn_norm.weight": ("post_attention_layernorm.weight", "mlp_norm.scale"),
}

# ours: (transformers, kyutai)
_MIMI = {
    "downsample.weight": ("downsample.conv.weight", "downsample.conv.conv.conv.weight"),
    "upsample.weight": ("upsample.conv.weight", "upsample.convtr.convtr.convtr.weight"),
}
_MIMI_LAYER = {
    "attention.out_proj.weight": ("self_attn.o_proj.weight", "self_attn.out_proj.weight"),
    "attention_norm.weight": ("input_layernorm.weight", "norm1.weight"),
    "attention_norm.bias": ("input_layernorm.bias", "norm1.bias"),
    "attention_scale": ("self_attn_layer_scale.scale", "layer_scale_1.scale"),
    "ffn_norm.weight": ("post_attention_layernorm.weight", "norm2.weight"),
    "ffn_norm.bias": ("post_attention_layernorm.bias", "norm2.bias"),
    "ffn_in.weight": ("mlp.fc1.weight", "linear1.weight"),
    "ffn_out.weight": ("mlp.fc2.weight", "linear2.weight"),
    "ffn_scale": ("mlp_layer_scale.scale", "layer_scale_2.scale"),
}
_MIMI_QKV = (
    ("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"),
    ("self_attn.in_proj_weight",),
)
_MIMI_TRANSFORMER = ("{side}_transformer.layers", "{side}_transformer.transformer.layers")
_MIMI_BRANCHES = {
    "semantic": ("semantic_residual_vector_quantizer", "rvq_first"),
    "acoustic": ("acoustic_residual_vector_quantizer", "rvq_rest"),
}
_MIMI_CODEBOOK = (
    "layers.{book}.codebook.{{initialized,cluster_usage,embed_sum}}",
    "vq.layers.{book}._codebook.{{_initialized,cluster_usage,embedding_sum}}",
)


def csm_name(ours: str, layout: CSMLayout) -> str:
    """The name of one of our tensors of a CSM in a layout."""
    column = ("transformers", "original").index(layout)
    if ours in _CSM:
        return _CSM[ours][column]
    stack, _, layer, rest = ours.split(".", 3)
    return f"{_CSM_STACKS[stack][column]}.layers.{layer}.{_CSM_LAYER[rest][column]}"


def csm_entries(config: CSMConfig, layout: CSMLayout) -> list[Entry]:
    """The entries of all tensors of a CSM of these sizes."""
    entries = [Entry(ours, (csm_name(ours, layout),), SAME) for ours in _CSM]
    for stack, llama in (("backbone", config.backbone), ("depth", config.depth)):
        forms = {
            "attention.q_proj.weight": interleaved(llama.num_heads),
            "attention.k_proj.weight": interleaved(llama.num_kv_heads),
        }
        for layer in range(llama.num_layers):
            for inner in _CSM_LAYER:
                form = forms.get(inner, SAME) if layout == "original" else SAME
                ours = f"{stack}.layers.{layer}.{inner}"
                entries.append(Entry(ours, (csm_name(ours, layout),), form))
    return entries


def mimi_entries(config: MimiConfig, layout: MimiLayout) -> list[Entry]:
    """Every tensor of a Mimi of these sizes, with SEANet's decoder."""
    assert config.decoder is None, "the layout has no source-filter decoder"
    column = ("transformers", "kyutai").index(layout)
    entries = [Entry(ours, (theirs[column],), SAME) for ours, theirs in _MIMI.items()]
    entries += [Entry(ours, (theirs,), SAME) for ours, theirs in _seanet(config, layout)]
    qkv = THREE if layout == "transformers" else interleaved_qkv(config.num_heads)
    for side in ("encoder", "decoder"):
        stack = _MIMI_TRANSFORMER[column].format(side=side)
        for layer in range(config.num_layers):
            ours_at, theirs_at = f"{side}_transformer.layers.{layer}", f"{stack}.{layer}"
            names = tuple(f"{theirs_at}.{name}" for name in _MIMI_QKV[column])
            entries.append(Entry(f"{ours_at}.attention.qkv_proj.weight", names, qkv))
            for ours, theirs in _MIMI_LAYER.items():
                entries.append(Entry(f"{ours_at}.{ours}", (f"{theirs_at}.{theirs[column]}",), SAME))
    for branch, num_codebooks in (("semantic", 1), ("acoustic", config.num_codebooks - 1)):
        ours_at, theirs_at = f"quantizer.{branch}", f"quantizer.{_MIMI_BRANCHES[branch][column]}"
        for projection in ("input_proj.weight", "output_proj.weight"):
            names = (f"{theirs_at}.{projection}",)
            entries.append(Entry(f"{ours_at}.{projection}", names, SAME))
        names = tuple(
            f"{theirs_at}.{name}"
            for book in range(num_codebooks)
            for name in _braces(_MIMI_CODEBOOK[column].format(book=book))
        )
        entries.append(Entry(f"{ours_at}.centroids", names, CENTROIDS))
    return entries


def _seanet(config: MimiConfig, layout: MimiLayout) -> Iterator[tuple[str, str]]:
    chain = "layers" if layout == "transformers" else "model"
    last = 2 * len(config.ratios) + 1
    for side, block_parity in (("encoder", 1), ("decoder", 0)):
        for index in range(last + 1):
            inside = 0 < index < last
            is_block = inside and index % 2 == block_parity
            # Their chain counts an ELU before each layer except the first and the blocks.
            theirs = f"{side}.{chain}.{3 * index // 2 if is_block else (3 * index + 1) // 2}"
            if layout == "transformers":
                conv = "conv"
            else:
                is_transposed = inside and side == "decoder" and not is_block
                conv = "convtr.convtr" if is_transposed else "conv.conv"
            parts = (("narrow.", ".block.1"), ("widen.", ".block.3")) if is_block else (("", ""),)
            for part, inner in parts:
                for kind in ("weight", "bias"):
                    ours = f"{side}.layers.{index}.{part}{kind}"
                    yield ours, f"{theirs}{inner}.{conv}.{kind}"


def _braces(names: str) -> list[str]:
    """``a.{b,c}`` as ``a.b``, ``a.c``."""
    stem, _, ends = names.rstrip("}").partition("{")
    return [stem + end for end in ends.split(",")]


# -- forms -----------------------------------------------------------------------------------

#: The same numbers in the same order.
SAME = Form(lambda parts: parts[0], lambda ours: [ours])

#: Separate queries, keys and values; ours are one matrix.
THREE = Form(lambda parts: torch.cat(list(parts)), lambda ours: list(ours.chunk(3)))


def _half_split(weight: Tensor, num_heads: int) -> Tensor:
    """Rows of each head reordered: the even ones first, then the odd ones."""
    rows: Tensor = weight.unflatten(0, (num_heads, -1, 2))
    return rows.transpose(1, 2).flatten(0, 2)


def _interleave(weight: Tensor, num_heads: int) -> Tensor:
    """The inverse of `_half_split`."""
    rows: Tensor = weight.unflatten(0, (num_heads, 2, -1))
    return rows.transpose(1, 2).flatten(0, 2)


def interleaved(num_heads: int) -> Form:
    """The form of queries or keys whose adjacent features form a pair, see `causerie.nn.rope`."""
    return Form(
        lambda parts: _half_split(parts[0], num_heads),
        lambda ours: [_interleave(ours, num_heads)],
    )


def interleaved_qkv(num_heads: int) -> Form:
    """The form of one matrix like ours, with queries and keys interleaved."""

    def permuted(qkv: Tensor, permute: Callable[[Tensor, int], Tensor]) -> Tensor:
        q, k, v = qkv.chunk(3)
        return torch.cat((permute(q, num_heads), permute(k, num_heads), v))

    return Form(
        lambda parts: permuted(parts[0], _half_split), lambda ours: [permuted(ours, _interleave)]
    )


def _centroids(parts: Sequence[Tensor]) -> Tensor:
    """The mean of each cluster, from (initialized, usage, sum) of each codebook in turn."""
    return torch.stack(
        [
            total / usage.clamp(min=1e-5)[:, None]  # the floor of both references
            for usage, total in zip(parts[1::3], parts[2::3], strict=True)
        ]
    )


def _sums(centroids: Tensor) -> list[Tensor]:
    one = partial(torch.ones, device=centroids.device, dtype=centroids.dtype)
    return [part for book in centroids for part in (one(1), one(len(book)), book)]


CENTROIDS = Form(_centroids, _sums)
