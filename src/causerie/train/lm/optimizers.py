"""The optimizers of the language model."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from causerie.model.csm import CSM
from causerie.train.lm.config import LMRecipe


def make_optimizer(model: CSM, recipe: LMRecipe) -> torch.optim.Optimizer:
    """The recipe's optimizer for all trained parameters.

    AdamW applies weight decay to matrices, but not to norms or embedding tables: most rows of a
    table have no gradient in a step.
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
        fused=True,  # on CUDA the default copies all second moments in each step
    )  # fmt: skip


class MuonAdamW(torch.optim.Optimizer):
    """One optimizer: Muon for the matrices inside transformer layers, AdamW for all else.

    Both use the same learning rate, matched as in Moonlight's Muon.

    Args:
        model: its matrices under ``.layers.`` use Muon, all other parameters AdamW.
    """

    def __init__(self, model: nn.Module, *, lr: float, weight_decay: float) -> None:
        named = list(model.named_parameters())
        inner = [p for name, p in named if ".layers." in name and p.ndim == 2]
        inner_ids = {id(p) for p in inner}
        outer = [p for _, p in named if id(p) not in inner_ids]
        self.muon = torch.optim.Muon(
            inner, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
        )
        self.adamw = torch.optim.AdamW(outer, lr=lr, betas=(0.9, 0.98), weight_decay=0.0)
        super().__init__([{"params": [p for _, p in named]}], {"lr": lr})
        self.param_groups = [*self.muon.param_groups, *self.adamw.param_groups]

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Step both optimizers."""
        assert closure is None
        self.muon.step()
        self.adamw.step()

    def state_dict(self) -> dict[str, Any]:
        return {"muon": self.muon.state_dict(), "adamw": self.adamw.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.muon.load_state_dict(state["muon"])
        self.adamw.load_state_dict(state["adamw"])
        self.param_groups = [*self.muon.param_groups, *self.adamw.param_groups]
