"""The part of training that every run shares: schedule, clipping, checkpoints, exact resume.

Knows nothing of what is trained: a step fills in gradients and gives numbers to report.
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
    """A module, or whatever else knows its state."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...


class HasState(Protocol):
    """What a phase of training keeps beside the optimizer, and what it trains."""

    @property
    def modules(self) -> Mapping[str, Stateful]: ...

    @property
    def parameters(self) -> list[nn.Parameter]: ...

    def extra_state(self) -> dict[str, Any]: ...

    def load_extra_state(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Descent:
    """How the learning rate goes, and where gradients are clipped.

    Attributes:
        warmup: steps in which the rate rises.
        floor: part of the rate that is left at the end.
        clip: norm of the gradient at most.
    """

    steps: int
    lr: float
    warmup: int
    decay: Decay = "cosine"
    floor: float = 0.02
    clip: float = CLIP

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        return self.lr * factor(step, self.steps, self.warmup, self.decay, self.floor)


#: Adds the gradients of a step; numbers to report.
Gradients = Callable[[int], dict[str, float]]
#: Called after every step with its number and losses.
OnStep = Callable[[int, dict[str, float]], None]


def factor(
    step: int, steps: int, warmup: int, decay: Decay = "cosine", floor: float = 0.02
) -> float:
    """Factor of the learning rate: linear warm-up, then down to `floor`."""
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    if decay == "constant":
        return 1.0
    left = 1 - progress if decay == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
    return floor + (1 - floor) * left


class Loop:
    """Counts steps and keeps a state file from which a killed run continues to the bit.

    Args:
        path: of the state file.
        allow_changes: go on though the recipe is not the one that the state file was made by.
        writes: whether this process writes the file; among several, one does.
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
        """Do the steps still to be done; saves now and then, and at the end.

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
        """Go on from the state file, if there is one.

        Args:
            facts: all that the run depends on, as values that JSON knows.

        Raises:
            ConfigError: the state file is of a run with other facts, or of another model.
        """
        self.facts = json.loads(json.dumps(facts))
        if not self.path.exists():
            return
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        # states of old have no facts
        changed = differences(state.get("facts", self.facts), self.facts)
        if changed and not self.allow_changes:
            raise ConfigError(
                f"{self.path} is of another run ({'; '.join(changed)}): give the old values, "
                "another folder, or allow the changes (--allow-changes)"
            )
        try:
            self._load(state)
        except (KeyError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"{self.path} does not fit what is to be trained ({error}): use another folder"
            ) from error

    def _optimize(self, lr: float, clip: float) -> float:
        """One step down the gradient, clipped; the gradient's norm."""
        norm = float(nn.utils.clip_grad_norm_(self.phase.parameters, clip))
        if not math.isfinite(norm):
            raise ConfigError(
                f"the gradient of step {self.step} is {norm}: lower lr ({lr:g} now) or make the "
                "warm-up longer, then start again; the state file is from before"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        if self.after_step is not None:
            self.after_step(self.step)
        return norm

    def save(self) -> None:
        """Write the state; a crash meanwhile leaves the previous file whole."""
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
            os.fsync(file.fileno())  # else a power cut could leave the new name on no contents
        os.replace(partial, self.path)

    def _load(self, state: dict[str, Any]) -> None:
        for name, module in self.phase.modules.items():
            module.load_state_dict(state["modules"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.phase.load_extra_state(state["extra"])
        self.step = state["step"]


def differences(old: Any, new: Any, name: str = "") -> list[str]:
    """``name was old, is new`` for each value that differs, of nested tables too."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [
            line
            for key in keys
            for line in differences(old.get(key), new.get(key), f"{name}.{key}" if name else key)
        ]
    return [] if old == new else [f"{name} was {old}, is {new}"]
