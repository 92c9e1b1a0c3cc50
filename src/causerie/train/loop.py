"""The part of training that every run shares: schedule, clipping, checkpoints, exact resume."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

CLIP = 1.0
SAVE_EVERY = 500


class HasState(Protocol):
    """What a phase of training keeps beside the optimizer, and what it trains."""

    modules: dict[str, nn.Module]
    parameters: list[nn.Parameter]

    def extra_state(self) -> dict[str, Any]: ...

    def load_extra_state(self, state: dict[str, Any]) -> None: ...


class Schedule(Protocol):
    """The part of a recipe that says how long and how fast."""

    @property
    def steps(self) -> int: ...

    @property
    def lr(self) -> float: ...

    @property
    def warmup(self) -> int: ...


#: The loss of a step, and numbers to report.
OneStep = Callable[[int], tuple[Tensor, dict[str, float]]]
#: Called after every step with its number and losses.
OnStep = Callable[[int, dict[str, float]], None]


def cosine_schedule(step: int, steps: int, warmup: int, floor: float = 0.02) -> float:
    """Factor of the learning rate: linear warm-up, then a half cosine down to `floor`."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


class Loop:
    """Counts steps and keeps a state file from which a killed run continues to the bit."""

    def __init__(
        self,
        path: Path,
        phase: HasState,
        optimizer: torch.optim.Optimizer,
        *,
        seed: int,
        save_every: int = SAVE_EVERY,
    ) -> None:
        self.path, self.phase, self.optimizer = path, phase, optimizer
        self.save_every = save_every
        self.generator = torch.Generator().manual_seed(seed)
        self.step = 0
        if path.exists():
            self._load()

    def run(self, one_step: OneStep, recipe: Schedule, on_step: OnStep | None) -> None:
        """Do the steps still to be done; saves now and then, and at the end."""
        while self.step < recipe.steps:
            total, numbers = one_step(self.step)
            lr = recipe.lr * cosine_schedule(self.step, recipe.steps, recipe.warmup)
            norm = self._optimize(total, lr)
            if on_step is not None:
                on_step(self.step, {**numbers, "lr": lr, "gradient": norm})
            self.step += 1
            if self.step % self.save_every == 0:
                self.save()
        self.save()

    def _optimize(self, total: Tensor, lr: float) -> float:
        """One step down the gradient, clipped; the gradient's norm."""
        self.optimizer.zero_grad()
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.phase.parameters, CLIP)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        return float(norm)

    def save(self) -> None:
        """Write the state; a crash meanwhile leaves the previous file whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "step": self.step,
            "modules": {name: module.state_dict() for name, module in self.phase.modules.items()},
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "extra": self.phase.extra_state(),
        }
        partial = self.path.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, self.path)

    def _load(self) -> None:
        state = torch.load(self.path, weights_only=True)
        self.step = state["step"]
        for name, module in self.phase.modules.items():
            module.load_state_dict(state["modules"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.phase.load_extra_state(state["extra"])
