"""The optimizers of the language model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

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


class Muon(torch.optim.Muon):
    """torch's Muon, with products in fp32 on the CPU.

    torch's are in bf16, which processors without arithmetic for it emulate: 12 times the time of
    petit's forward and backward passes.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update all matrices that have a gradient."""
        assert closure is None
        if any(p.device.type != "cpu" for group in self.param_groups for p in group["params"]):
            super().step()  # type: ignore[no-untyped-call]
            return
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._update(matrix, matrix.grad, group)

    def _update(self, matrix: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state, momentum = self.state[matrix], group["momentum"]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        mean = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        update = gradient.lerp(mean, momentum) if group["nesterov"] else mean
        update = orthogonal(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        matrix.mul_(1 - group["lr"] * group["weight_decay"])
        # the RMS of AdamW's updates
        matrix.add_(update, alpha=-group["lr"] * 0.2 * max(matrix.shape) ** 0.5)


def orthogonal(
    matrix: Tensor, coefficients: tuple[float, float, float], num_steps: int, eps: float
) -> Tensor:
    """A matrix (N, M) with the singular vectors of another one, and singular values of about 1.

    By the Newton-Schulz iteration of torch's Muon.
    """
    a, b, c = coefficients
    is_tall = matrix.shape[0] > matrix.shape[1]
    out = matrix.T if is_tall else matrix
    out = out / out.norm().clamp(min=eps)
    for _ in range(num_steps):
        gram = out @ out.T
        out = torch.addmm(out, torch.addmm(gram, gram, gram, beta=b, alpha=c), out, beta=a)
    return out.T if is_tall else out


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
        self.muon = Muon(inner, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
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
