"""Muon for the matrices inside transformer layers, AdamW for everything else, as one optimizer."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class MuonAdamW(torch.optim.Optimizer):
    """Steps both; their learning rates are one number, matched as in Moonlight's Muon.

    Args:
        model: matrices under ``.layers.`` go to Muon, all other parameters to AdamW.
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
