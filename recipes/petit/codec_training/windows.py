"""The training loop of all codec phases, which learn from windows of speech."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from causerie.device import has_fast_bf16
from causerie.errors import ConfigError
from causerie.train.loop import Descent, HasState, Loop, OnStep
from causerie.train.processes import find_processes
from codec_training import distributed
from codec_training.aligned_speech import SpeechFolder, WindowSampler


@dataclass(frozen=True, kw_only=True)
class WindowRecipe:
    """Settings of all codec phases.

    Attributes:
        stretched: share of the windows played faster or slower, see `WindowSampler`.
        autocast: compute products in bf16, where the processor does not emulate them.
    """

    steps: int
    batch: int
    lr: float
    warmup: int = 100
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.01
    stretched: float = 0.0
    autocast: bool = True
    seed: int = 0

    @property
    def autocasts(self) -> bool:
        """Whether products are in bf16 on this machine."""
        return self.autocast and has_fast_bf16(torch.device("cpu"))


class WindowPhase(HasState, Protocol):
    """Computes loss and numbers of waveforms (B, 1, N) and their phone labels."""

    def __call__(
        self, step: int, pcm: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]: ...


def train_on_windows(
    phase: WindowPhase,
    recipe: WindowRecipe,
    speech: SpeechFolder,
    out: Path,
    *,
    num_samples: int,
    label_rate: float,
    on_step: OnStep | None,
    allow_changes: bool,
) -> None:
    """Train up to ``recipe.steps``, resuming from ``out/state.pt`` if it exists.

    Args:
        num_samples: length of a window.
        label_rate: phone labels per second.
        on_step: called in the main process after every step, with its number and the losses of
            that process's windows.
        allow_changes: resume even if the recipe has changed.

    Raises:
        ConfigError: the batch cannot be divided among the processes, or as `Loop`.
    """
    processes = find_processes("cpu")
    rank, num_ranks = processes.process_index, processes.num_processes
    if recipe.batch % num_ranks:
        raise ConfigError(
            f"a batch of {recipe.batch} windows cannot be divided evenly among {num_ranks} "
            "processes"
        )
    optimizer = torch.optim.AdamW(
        phase.parameters, lr=recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay
    )
    sampler = WindowSampler(
        speech,
        batch=recipe.batch,
        num_samples=num_samples,
        label_rate=label_rate,
        seed=recipe.seed,
        stretched=recipe.stretched,
    )
    is_main = processes.is_main_process
    loop = Loop(
        out / "state.pt",
        phase,
        optimizer,
        seed=recipe.seed,
        allow_changes=allow_changes,
        writes=is_main,
    )

    def gradients(step: int) -> dict[str, float]:
        total, numbers = phase(step, *sampler(step, rank, num_ranks), loop.generator)
        total.backward()
        distributed.average_gradients(phase.parameters)
        return numbers

    loop.begin(vars(recipe))
    descent = Descent(steps=recipe.steps, lr=recipe.lr, warmup=recipe.warmup)
    loop.descend(gradients, descent, on_step if is_main else None)
    processes.wait_for_everyone()
