"""Tiny random models of the reference implementations, of the sizes in `tests.tiny`.

Configurations are written out here once more, so that they do not depend on our converter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import moshi.models.loaders as moshi_loaders
import torch
import transformers
from moshi.models.compression import MimiModel as MoshiMimi
from torch import Tensor, nn

from tests import tiny

FRAME = 1920
BOS_ID, EOS_ID, AUDIO_ID, AUDIO_EOS_ID = 256, 257, 258, 259

_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
}
_MIMI: dict[str, Any] = {
    "num_filters": 4,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "num_quantizers": tiny.NUM_CODEBOOKS,
    "codebook_size": tiny.CODEBOOK_SIZE,
    "codebook_dim": 8,
    "vector_quantization_hidden_dimension": 8,
    "upsample_groups": 32,
}


def csm_of_transformers(seed: int = 0) -> transformers.CsmForConditionalGeneration:
    config = transformers.CsmConfig(
        num_codebooks=tiny.NUM_CODEBOOKS,
        vocab_size=tiny.CODEBOOK_SIZE + 3,
        text_vocab_size=260,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=128,
        rope_parameters=_ROPE | {"original_max_position_embeddings": 64},
        bos_token_id=BOS_ID,
        pad_token_id=AUDIO_ID,
        audio_token_id=AUDIO_ID,
        audio_eos_token_id=AUDIO_EOS_ID,
        codebook_pad_token_id=tiny.CODEBOOK_SIZE + 2,
        depth_decoder_config={
            "num_codebooks": tiny.NUM_CODEBOOKS,
            "vocab_size": tiny.CODEBOOK_SIZE + 3,
            "backbone_hidden_size": 64,
            "hidden_size": 48,
            "intermediate_size": 80,
            "num_hidden_layers": 2,
            "num_attention_heads": 6,
            "num_key_value_heads": 3,
            "head_dim": 8,
            "max_position_embeddings": tiny.NUM_CODEBOOKS + 1,
            # 64 / 16, as sesame/csm-1b does it: the same curve
            "rope_parameters": _ROPE
            | {
                "low_freq_factor": 1 / 16,
                "high_freq_factor": 4 / 16,
                "original_max_position_embeddings": 4,
            },
        },
        codec_config={"model_type": "mimi", **_MIMI},
    )
    torch.manual_seed(seed)
    model = transformers.CsmForConditionalGeneration(config).eval()
    randomize(model)
    model.depth_decoder.generation_config.update(
        min_new_tokens=tiny.NUM_CODEBOOKS - 1, max_new_tokens=tiny.NUM_CODEBOOKS - 1
    )
    return model


def mimi_of_transformers(seed: int = 0) -> transformers.MimiModel:
    torch.manual_seed(seed)
    model = transformers.MimiModel(transformers.MimiConfig(**_MIMI)).eval()
    randomize(model)
    return model


def mimi_of_moshi(seed: int = 0) -> MoshiMimi:
    seanet = moshi_loaders._seanet_kwargs | {"dimension": 32, "n_filters": 4}
    transformer = moshi_loaders._transformer_kwargs | {
        "d_model": 32,
        "num_heads": 2,
        "num_layers": 2,
        "dim_feedforward": 48,
        "input_dimension": 32,
        "output_dimensions": [32],
    }
    quantizer = {
        "dimension": 8,
        "n_q": tiny.NUM_CODEBOOKS,
        "bins": tiny.CODEBOOK_SIZE,
        "input_dimension": 32,
        "output_dimension": 32,
    }
    config = moshi_loaders._mimi_config | {
        "seanet": seanet,
        "transformer": transformer,
        "quantizer": quantizer,
    }
    torch.manual_seed(seed)
    model = moshi_loaders.get_mimi(
        None, device="cpu", num_codebooks=tiny.NUM_CODEBOOKS, mimi_config=config
    )
    randomize(model)
    return model


@torch.no_grad()
def randomize(model: nn.Module) -> None:
    """Give all tensors of a checkpoint random weights with the scale of a trained model."""
    tiny.randomize(model)
    for part in model.modules():
        if isinstance(part, nn.ConvTranspose1d):
            inputs = part.in_channels * part.kernel_size[0] / part.stride[0] / part.groups
            nn.init.normal_(part.weight, std=(1.6 / inputs) ** 0.5)
        elif isinstance(part, nn.Conv1d):
            inputs = part.in_channels * part.kernel_size[0]
            nn.init.normal_(part.weight, std=(1.6 / inputs) ** 0.5)
    for name, tensor in model.state_dict().items():
        if name.endswith("cluster_usage"):
            nn.init.uniform_(tensor, 0.2, 3.2)
            tensor[0] = 0.0  # a dead code, for the floor of the division
        elif name.endswith(("embed_sum", "embedding_sum")):
            nn.init.normal_(tensor)
            tensor[0] *= 1e-5
        elif name.endswith("codebooks_head.weight"):
            nn.init.normal_(tensor, std=tensor.shape[1] ** -0.5)
        elif name.endswith("initialized"):
            nn.init.ones_(tensor)


def save(model: nn.Module, folder: Path, **options: Any) -> Path:
    """Write a model of transformers and a tokenizer."""
    model.save_pretrained(folder, **options)
    tiny.tokenizer().save(folder / "tokenizer.json")
    return folder


@torch.no_grad()
def latent_of(model: transformers.MimiModel, pcm: Tensor) -> tuple[Tensor, Tensor]:
    """Unquantized latent (B, D, T) and codes of transformers' Mimi."""
    seen: list[Tensor] = []
    encode = model.quantizer.encode

    def watch(latent: Tensor, *rest: Any) -> Tensor:
        seen.append(latent)
        return encode(latent, *rest)

    model.quantizer.encode = watch
    try:
        codes = model.encode(pcm).audio_codes
    finally:
        del model.quantizer.encode
    return seen[0], codes
