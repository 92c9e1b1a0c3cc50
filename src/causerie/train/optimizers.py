"""Which optimizer steps which parameters."""

from __future__ import annotations

import torch

from causerie.model.csm import CSM
from causerie.train.config import LMRecipe
from causerie.train.muon import MuonAdamW


def make_optimizer(model: CSM, recipe: LMRecipe) -> torch.optim.Optimizer:
    """The recipe's optimizer over all parameters that are trained.

    AdamW draws matrices towards zero, but not norms, nor tables of embeddings, most rows of which
    have no gradient in a step.
    """
    if recipe.optimizer == "muon":
        return MuonAdamW(model, lr=recipe.lr, weight_decay=recipe.weight_decay)
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    decayed = [p for name, p in trained if p.ndim >= 2 and "embedding" not in name]
    others = [p for name, p in trained if p.ndim < 2 or "embedding" in name]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    first, second = recipe.betas
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=recipe.lr, betas=(first, second),
        fused=True,  # on CUDA the default makes a copy of all second moments in a step
    )  # fmt: skip
