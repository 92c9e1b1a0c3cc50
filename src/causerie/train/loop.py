"""The training loop: schedule, gradient clipping, state files, exact resume.

Knows nothing of models: a callback computes the gradients of a step and returns its losses.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import nn

from causerie.errors import ConfigError

CLIP = 1.0
SAVE_EVERY = 500

Decay = Literal["cosine", "linear", "constant"]


class Stateful(Protocol):
    """Has a state dict, as modules do."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...


class HasState(Protocol):
    """The state of a training phase apart from the optimizer, and the parameters it trains."""

    @property
    def modules(self) -> Mapping[str, Stateful]: ...

    @property
    def parameters(self) -> list[nn.Parameter]: ...

    def extra_state(self) -> dict[str, Any]: ...

    def load_extra_state(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Descent:
    """The learning rate schedule and gradient clipping.

    Attributes:
        lr: highest learning rate.
        warmup: number of steps in which the rate rises.
        floor: final rate, as a share of `lr`.
        clip: maximum gradient norm.
    """

    steps: int
    lr: float
    warmup: int
    decay: Decay = "cosine"
    floor: float = 0.02
    clip: float = CLIP

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return self.lr * factor(step, self.steps, self.warmup, self.decay, self.floor)


#: Computes the gradients of a step and returns its losses.
Gradients = Callable[[int], dict[str, float]]
#: Called after each step with its number and losses.
OnStep = Callable[[int, dict[str, float]], None]


def factor(
    step: int, steps: int, warmup: int, decay: Decay = "cosine", floor: float = 0.02
) -> float:
    """Factor of the learning rate: a linear warm-up, then the decay to `floor`."""
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    if decay == "constant":
        return 1.0
    left = 1 - progress if decay == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
    return floor + (1 - floor) * left


class Loop:
    """Runs steps and keeps a state file from which a killed run resumes exactly.

    Args:
        path: path of the state file.
        allow_changes: resume even if the state file belongs to a run with other facts.
        writes: whether this process writes the state file; among several processes, one does.
        after_step: called after each step of the optimizer.
    """

    def __init__(
        self,
        path: Path,
        phase: HasState,
        optimizer: torch.optim.Optimizer,
        *,
        seed: int,
        save_every: int = SAVE_EVERY,
        allow_changes: bool = False,
        writes: bool = True,
        after_step: Callable[[int], None] | None = None,
    ) -> None:
        self.path, self.phase, self.optimizer = path, phase, optimizer
        self.save_every, self.allow_changes = save_every, allow_changes
        self.writes, self.after_step = writes, after_step
        self.generator = torch.Generator().manual_seed(seed)
        self.step = 0
        self.facts: Mapping[str, Any] = {}

    def descend(
        self,
        gradients: Gradients,
        descent: Descent,
        on_step: OnStep | None = None,
    ) -> None:
        """Do the remaining steps, saving every `save_every` steps and at the end.

        Raises:
            ConfigError: a gradient is not finite.
        """
        while self.step < descent.steps:
            self.optimizer.zero_grad()
            numbers = gradients(self.step)
            lr = descent.rate(self.step)
            norm = self._optimize(lr, descent.clip)
            if on_step is not None:
                on_step(self.step, {**numbers, "lr": lr, "gradient": norm})
            self.step += 1
            if self.step % self.save_every == 0:
                self.save()
        self.save()

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Resume from the state file, if there is one.

        Args:
            facts: everything the run depends on, as JSON values.

        Raises:
            ConfigError: the state file belongs to a run with other facts, or to another model.
        """
        self.facts = json.loads(json.dumps(facts))
        if not self.path.exists():
            return
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        # state files of early versions have no facts
        changed = differences(state.get("facts", self.facts), self.facts)
        if changed and not self.allow_changes:
            raise ConfigError(
                f"{self.path} is of another run ({'; '.join(changed)}): restore the old values, "
                "choose another folder, or allow the changes (--allow-changes)"
            )
        try:
            self._load(state)
        except (KeyError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"{self.path} does not fit this model ({error}): choose another folder"
            ) from error

    def _optimize(self, lr: float, clip: float) -> float:
        """Clip the gradients and step the optimizer; returns the gradient norm."""
        norm = float(nn.utils.clip_grad_norm_(self.phase.parameters, clip))
        if not math.isfinite(norm):
            raise ConfigError(
                f"the gradient norm of step {self.step} is {norm}: lower lr (now {lr:g}) or "
                "lengthen the warm-up, then resume; the state file is from an earlier step"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        if self.after_step is not None:
            self.after_step(self.step)
        return norm

    def save(self) -> None:
        """Write the state file atomically."""
        if not self.writes:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "step": self.step,
            "modules": {name: module.state_dict() for name, module in self.phase.modules.items()},
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "extra": self.phase.extra_state(),
            "facts": self.facts,
        }
        partial = self.path.with_suffix(".partial")
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())  # a power cut could otherwise leave an empty file
        os.replace(partial, self.path)

    def _load(self, state: dict[str, Any]) -> None:
        for name, module in self.phase.modules.items():
            module.load_state_dict(state["modules"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.phase.load_extra_state(state["extra"])
        self.step = state["step"]


def differences(old: Any, new: Any, name: str = "") -> list[str]:
    """``name was old, is new`` for each value that differs, in nested dicts too."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [
            line
            for key in keys
            for line in differences(old.get(key), new.get(key), f"{name}.{key}" if name else key)
        ]
    return [] if old == new else [f"{name} was {old}, is {new}"]
