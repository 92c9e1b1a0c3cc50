"""Converts configurations of the published layouts from and to ours. Plain JSON values; no files.

A setting that our models do not support is an error, unless it has no effect on the result
(dropout, initialisation, caching).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from causerie.config import (
    CSMConfig,
    LlamaConfig,
    MimiConfig,
    RopeScaling,
    csm_1b,
    marvis_250m,
    miso_8b,
)
from causerie.errors import CheckpointError

Json = Mapping[str, Any]

#: Sizes of the flavors in an original config.json: SesameAILabs/csm, Marvis and MisoTTS.
FLAVORS = {
    "llama-1B": csm_1b().backbone,
    "llama-100M": csm_1b().depth,
    "llama-250M": marvis_250m().backbone,
    "llama-60M": marvis_250m().depth,
    "llama-8B": miso_8b().backbone,
    "llama-300M": miso_8b().depth,
}

_ORIGINAL_NAMES = {  # ours: theirs
    "backbone": "backbone_flavor",
    "depth": "decoder_flavor",
    "num_codebooks": "audio_num_codebooks",
    "audio_vocab_size": "audio_vocab_size",
    "text_vocab_size": "text_vocab_size",
}

#: Kyutai's file does not contain its sizes; there is one Mimi.
KYUTAI_MIMI = MimiConfig()

# Defaults that transformers omits from a config.json: CsmConfig, CsmDepthDecoderConfig and
# MimiConfig of version 5.23. Note the rotary embedding without scaling.
_LLAMA_DEFAULTS: dict[str, Any] = {
    "num_codebooks": 32,
    "vocab_size": 2051,
    "intermediate_size": 8192,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500_000.0,
}
_BACKBONE_DEFAULTS = _LLAMA_DEFAULTS | {
    "text_vocab_size": 128_256,
    "hidden_size": 2048,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 2048,
}
_DEPTH_DEFAULTS = _LLAMA_DEFAULTS | {
    "backbone_hidden_size": 2048,
    "hidden_size": 1024,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
}
_MIMI_NAMES = {  # ours: theirs; the defaults agree
    "sample_rate": "sampling_rate",
    "num_filters": "num_filters",
    "dim": "hidden_size",
    "ratios": "upsampling_ratios",
    "kernel": "kernel_size",
    "residual_kernel": "residual_kernel_size",
    "last_kernel": "last_kernel_size",
    "compress": "compress",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "ffn_dim": "intermediate_size",
    "context": "sliding_window",
    "norm_eps": "norm_eps",
    "num_codebooks": "num_quantizers",
    "codebook_size": "codebook_size",
    "codebook_dim": "codebook_dim",
}

# Settings that our models support with one value only.
_LLAMA_FIXED = {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False}
_MIMI_FIXED = {
    "audio_channels": 1,
    "num_residual_layers": 1,
    "use_causal_conv": True,
    "pad_mode": "constant",
    "trim_right_ratio": 1.0,
    "use_conv_shortcut": False,
    "num_semantic_quantizers": 1,
    "hidden_act": "gelu",
    "attention_bias": False,
}


# -- original ----------------------------------------------------------------------------------


def csm_from_original(values: Json, measure: Callable[[], CSMConfig]) -> CSMConfig:
    """Sizes from the config.json of SesameAILabs/csm.

    Args:
        measure: returns the sizes by the shapes of the tensors; called if a size is missing.

    Raises:
        CheckpointError: a flavor is unknown.
    """
    for name in ("backbone_flavor", "decoder_flavor"):
        if name in values and values[name] not in FLAVORS:
            raise CheckpointError(
                f"config.json: {values[name]!r} is not a known flavor; the flavors are "
                f"{', '.join(FLAVORS)}; for other sizes remove {name}, and the shapes show them"
            )
    named: dict[str, Any] = {
        ours: values[theirs] for ours, theirs in _ORIGINAL_NAMES.items() if theirs in values
    }
    for ours in {"backbone", "depth"} & named.keys():
        named[ours] = FLAVORS[named[ours]]
    if len(named) == len(_ORIGINAL_NAMES):
        return CSMConfig(**named)
    return replace(measure(), **named)


# -- from transformers ---------------------------------------------------------------------------


def csm_from_transformers(values: Json) -> CSMConfig:
    """Sizes from a config.json of model type csm, as versions 4 and 5 write it.

    Raises:
        CheckpointError: the model type is missing or another one, a setting is not supported, or
            values contradict each other.
    """
    # Otherwise all values would be defaults, and no published model has that rotary embedding.
    if values.get("model_type") != "csm":
        raise CheckpointError(
            f"config.json is missing or belongs to another model: its model_type is "
            f"{values.get('model_type')!r}, not 'csm'; download the one that belongs to the weights"
        )
    depth = _DEPTH_DEFAULTS | dict(values.get("depth_decoder_config") or {})
    values = _BACKBONE_DEFAULTS | dict(values)
    _require(values, {"codebook_eos_token_id": 0}, "config.json")  # the stop frame is all zeros
    same = {name: values[name] for name in ("num_codebooks", "vocab_size")}
    same["backbone_hidden_size"] = values["hidden_size"]
    _require(depth, same, "config.json: depth_decoder_config")
    return CSMConfig(
        backbone=_llama_from(values, "config.json"),
        depth=_llama_from(depth, "config.json: depth_decoder_config"),
        num_codebooks=values["num_codebooks"],
        audio_vocab_size=values["vocab_size"],
        text_vocab_size=values["text_vocab_size"],
        max_frames=values["max_position_embeddings"],
    )


def mimi_from_transformers(values: Json) -> MimiConfig:
    """Sizes from a config of model type mimi, as versions 4 and 5 write it.

    Raises:
        CheckpointError: a setting is not supported, or values contradict each other.
    """
    where = "config of the codec"
    sizes = {ours: values[theirs] for ours, theirs in _MIMI_NAMES.items() if values.get(theirs)}
    rope = _rope(values, where, default_theta=MimiConfig.rope_theta)
    if rope[1] is not None:
        raise CheckpointError(f"{where}: scaled rotary positions are not part of Mimi")
    config = MimiConfig(rope_theta=rope[0], **sizes)
    derived = {
        "num_key_value_heads": config.num_heads,
        "head_dim": config.dim // config.num_heads,
        "vector_quantization_hidden_dimension": config.codebook_dim,
        "upsample_groups": config.dim,
        "frame_rate": config.frame_rate,
    }
    _require(values, _MIMI_FIXED | derived, where)
    return config


def _llama_from(values: Json, where: str) -> LlamaConfig:
    _require(values, _LLAMA_FIXED, where)
    theta, scaling = _rope(values, where, default_theta=values["rope_theta"])
    num_heads = values["num_attention_heads"]
    return LlamaConfig(
        num_layers=values["num_hidden_layers"],
        dim=values["hidden_size"],
        num_heads=num_heads,
        num_kv_heads=values["num_key_value_heads"] or num_heads,
        head_dim=values.get("head_dim") or values["hidden_size"] // num_heads,
        ffn_dim=values["intermediate_size"],
        norm_eps=values["rms_norm_eps"],
        rope_theta=theta,
        rope_scaling=scaling,
    )


def _rope(values: Json, where: str, *, default_theta: float) -> tuple[float, RopeScaling | None]:
    """Base and scaling, from version 5's rope_parameters or version 4's two keys."""
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    theta = float(rope.get("rope_theta") or values.get("rope_theta") or default_theta)
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind == "default":
        return theta, None
    if kind != "llama3":
        raise CheckpointError(f"{where}: rope_type {kind!r} is unknown, only llama3 and default")
    return theta, RopeScaling(
        factor=rope["factor"],
        low_freq_factor=rope["low_freq_factor"],
        high_freq_factor=rope["high_freq_factor"],
        original_length=rope["original_max_position_embeddings"],
    )


def _require(values: Json, expected: Json, where: str) -> None:
    wrong = [
        f"{name} is {values[name]!r}, not {value!r}"
        for name, value in expected.items()
        if values.get(name) is not None and values[name] != value
    ]
    if wrong:
        raise CheckpointError(f"{where}: {'; '.join(wrong)}; causerie does not support this model")


# -- to transformers -----------------------------------------------------------------------------


def csm_to_transformers(config: CSMConfig, codec: MimiConfig) -> dict[str, Any]:
    """Sizes for a config.json of model type csm; the caller adds the ids of its tokens."""
    shared = {"num_codebooks": config.num_codebooks, "vocab_size": config.audio_vocab_size}
    return {
        "model_type": "csm",
        "architectures": ["CsmForConditionalGeneration"],
        **shared,
        "text_vocab_size": config.text_vocab_size,
        "codebook_eos_token_id": 0,
        "codebook_pad_token_id": config.audio_vocab_size - 1,
        "tie_codebooks_embeddings": True,
        **_llama_to(config.backbone, config.max_frames),
        "depth_decoder_config": {
            "model_type": "csm_depth_decoder_model",
            **shared,
            "backbone_hidden_size": config.backbone.dim,
            # one more than it reads, as in sesame/csm-1b
            **_llama_to(config.depth, config.num_codebooks + 1),
        },
        "codec_config": mimi_to_transformers(codec),
    }


def mimi_to_transformers(config: MimiConfig) -> dict[str, Any]:
    """Sizes for a config of model type mimi.

    Raises:
        CheckpointError: the codec has a source-filter decoder.
    """
    if config.decoder is not None:
        raise CheckpointError(
            "the codec has a source-filter decoder, and the layout of transformers has a place for "
            "SEANet's only: save the model in causerie's own layout, by causerie.checkpoint.save"
        )
    sizes = {theirs: getattr(config, ours) for ours, theirs in _MIMI_NAMES.items()}
    return {
        "model_type": "mimi",
        "architectures": ["MimiModel"],
        **sizes,
        **_MIMI_FIXED,
        "upsampling_ratios": list(config.ratios),
        "num_key_value_heads": config.num_heads,
        "head_dim": config.dim // config.num_heads,
        "vector_quantization_hidden_dimension": config.codebook_dim,
        "upsample_groups": config.dim,
        "frame_rate": config.frame_rate,
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
    }


def _llama_to(config: LlamaConfig, max_positions: int) -> dict[str, Any]:
    rope: dict[str, Any] = {"rope_type": "default"}
    if config.rope_scaling is not None:
        rope = {"rope_type": "llama3", **_rescaled(config.rope_scaling, max_positions)}
    return {
        "hidden_size": config.dim,
        "intermediate_size": config.ffn_dim,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": max_positions,
        "rms_norm_eps": config.norm_eps,
        **_LLAMA_FIXED,
        # version 5 reads the first, version 4 the other two
        "rope_parameters": {**rope, "rope_theta": config.rope_theta},
        "rope_theta": config.rope_theta,
        "rope_scaling": rope if config.rope_scaling is not None else None,
    }


def _rescaled(scaling: RopeScaling, max_positions: int) -> dict[str, Any]:
    """The same curve with an original length below max_positions, which transformers requires.

    Only ``original_length / low`` and ``original_length / high`` matter, so halving all three
    changes nothing, not even by rounding.
    """
    length, low, high = scaling.original_length, scaling.low_freq_factor, scaling.high_freq_factor
    while length >= max_positions and length % 2 == 0:
        length, low, high = length // 2, low / 2, high / 2
    return {
        "factor": scaling.factor,
        "low_freq_factor": low,
        "high_freq_factor": high,
        "original_max_position_embeddings": length,
    }
