"""Adds low-rank adapters to a CSM, merges them, and writes them, with peft.

peft sees the language model only. The model stays a `CSM`; adapters replace its linear layers.
`causerie.checkpoint.adapter` reads the files that `save_adapter` writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file
from torch import Tensor

from causerie.extras import need
from causerie.model.csm import CSM
from causerie.train.lm.config import Lora

if TYPE_CHECKING:
    from peft import LoraConfig

#: Parameters of the part "heads", which are trained in full.
HEADS = ("projection.weight", "codebook0_head.weight", "audio_heads")
_INNER = {
    name: "attention" if name in ("q_proj", "k_proj", "v_proj", "o_proj") else "ffn"
    for name in ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
}


def targets(model: CSM, lora: Lora) -> list[str]:
    """Full names of the linear layers to adapt."""
    sizes = {"backbone": model.config.backbone, "depth": model.config.depth}
    return [
        f"{part}.layers.{layer}.{_INNER[name]}.{name}"
        for part, config in sizes.items()
        if part in lora.parts
        for layer in range(config.num_layers)
        for name in lora.layers
    ]


def add_adapters(model: CSM, lora: Lora, seed: int) -> None:
    """Add adapters, which do not change the output yet, and freeze all other weights."""
    from_peft = need("peft", "train")
    torch.manual_seed(seed)  # one of an adapter's two matrices starts at random
    from_peft.inject_adapter_in_model(_config(model, lora), model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name or ("heads" in lora.parts and name in HEADS))


def halve_frozen(model: CSM) -> dict[str, Tensor]:
    """Store frozen weights that are used in matrix products only in bf16.

    In bf16 precision autocast would otherwise copy them to bf16 in each step and keep the copies
    for the backward pass. The products are identical.

    Returns:
        The exact weights by name, for `merged`.
    """
    exact = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad and parameter.ndim >= 2 and "embedding" not in name:
            exact[name] = parameter.data
            parameter.data = parameter.data.to(torch.bfloat16)
    return exact


@torch.no_grad()
def merged(model: CSM, exact: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The weights on the CPU, with adapters merged into them.

    Args:
        exact: the exact weights that `halve_frozen` returned.
    """
    weights = {}
    for name, tensor in {**model.state_dict(), **(exact or {})}.items():
        if ".lora_" in name:
            continue
        weight = tensor.detach().to("cpu", copy=True)
        if ".base_layer." in name:
            layer = model.get_submodule(name.split(".base_layer.")[0])
            delta = layer.get_delta_weight("default")  # type: ignore[operator]
            weight = (weight.float() + delta.float().cpu()).to(weight.dtype)
        weights[name.replace(".base_layer.", ".")] = weight
    return weights


def save_adapter(model: CSM, lora: Lora, folder: Path, base: str) -> None:
    """Write the adapters in peft's format: adapter_config.json and adapter_model.safetensors.

    Includes the heads under their own names if they were trained.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = _config(model, lora)
    config.base_model_name_or_path = base
    config.inference_mode = True
    config.save_pretrained(str(folder))
    trained = {n: p.detach().cpu().contiguous() for n, p in model.named_parameters()}
    tensors = {
        "base_model.model." + name.replace(".default.", "."): tensor
        for name, tensor in trained.items()
        if ".lora_" in name or (name in HEADS and "heads" in lora.parts)
    }
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def _config(model: CSM, lora: Lora) -> LoraConfig:
    config: LoraConfig = need("peft", "train").LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=targets(model, lora),
    )
    return config
