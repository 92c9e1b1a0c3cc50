"""Trains a CSM on encoded speech, in one process or several; killed runs resume exactly.

Each process computes the gradients of its share of a batch part by part; the losses of the parts
add up to that of the batch (see `objective`). No random state is kept between steps (see
`samples`), so the state is weights, optimizer and averages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from causerie.device import has_fast_bf16
from causerie.errors import ConfigError
from causerie.model.csm import CSM
from causerie.text.tokenizer import TextTokenizer
from causerie.train.lm.batches import collate, parts_of
from causerie.train.lm.config import LMRecipe
from causerie.train.lm.corpus import Corpus
from causerie.train.lm.ema import Averages
from causerie.train.lm.held_out import held_out_losses
from causerie.train.lm.lora import halve_frozen, merged
from causerie.train.lm.objective import Objective, recompute_layers
from causerie.train.lm.optimizers import make_optimizer
from causerie.train.lm.samples import ConversationSampler, Example
from causerie.train.loop import SAVE_EVERY, Descent, Loop, OnStep, Stateful
from causerie.train.processes import find_processes

if TYPE_CHECKING:
    from accelerate import Accelerator

#: Called with the number of steps done.
OnMilestone = Callable[[int], None]


class LMTraining:
    """A training run, resumed from the state file if there is one.

    Args:
        model: the model, trained in place: its parameters that require a gradient. With bf16
            products the others are stored in bf16 (see `halve_frozen`).
        state: path of the state file.
        processes: the processes that train together; by default those that were launched.
        facts: what else the run depends on. Changed facts are refused, as a changed recipe is.

    Raises:
        ConfigError: the state file belongs to another run, or recipe and data do not fit.
    """

    def __init__(
        self,
        model: CSM,
        recipe: LMRecipe,
        corpus: Corpus,
        tokenizer: TextTokenizer,
        state: Path,
        *,
        processes: Accelerator | None = None,
        save_every: int = SAVE_EVERY,
        allow_changes: bool = False,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.model, self.recipe, self.tokenizer = model, recipe, tokenizer
        self.processes = find_processes() if processes is None else processes
        rank_count = self.processes.num_processes
        if recipe.samples.batch < rank_count:
            raise ConfigError(
                f"a batch of {recipe.samples.batch} conversations is too small for {rank_count} "
                "processes: each needs one"
            )
        num_acoustic = model.config.num_codebooks - 1
        if recipe.codebook_weights and len(recipe.codebook_weights) != num_acoustic:
            raise ConfigError(
                f"codebook_weights has {len(recipe.codebook_weights)} numbers, but the model has "
                f"{num_acoustic} acoustic codebooks"
            )
        self.sampler = ConversationSampler(
            corpus, tokenizer, recipe.samples, max_frames=model.config.max_frames, seed=recipe.seed
        )
        # before the model moves to the device, so that the exact weights stay on the CPU
        self.autocast = recipe.precision == "bf16" and has_fast_bf16(self.processes.device)
        self.exact = halve_frozen(model) if self.autocast else {}
        model.to(self.processes.device)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.modules: dict[str, Stateful] = {"model": _Trained(model)}
        self.averages = Averages(model, recipe.ema) if recipe.ema else None
        self.loop = Loop(
            state,
            self,
            make_optimizer(model, recipe),
            seed=recipe.seed,
            save_every=save_every,
            allow_changes=allow_changes,
            writes=self.processes.is_main_process,
            after_step=self.averages.update if self.averages else None,
        )
        known = {"recipe": dataclasses.asdict(recipe), "model": dataclasses.asdict(model.config)}
        self.loop.begin({**known, "data": corpus.fingerprint(), **(facts or {})})
        if recipe.recompute:
            recompute_layers(model)
        self.objective: nn.Module = self.processes.prepare_model(self._new_objective())

    @property
    def step(self) -> int:
        """Number of steps done."""
        return self.loop.step

    def run(
        self,
        on_step: OnStep | None = None,
        *,
        on_milestone: OnMilestone | None = None,
        every: int = 0,
    ) -> None:
        """Do the remaining steps.

        Args:
            on_step: called in the main process after each step with its number and losses.
            on_milestone: called in the main process after each `every` steps and at the end, and
                again if a run resumes there. It must not change the model.
        """
        recipe, is_main = self.recipe, self.processes.is_main_process

        def gradients(step: int) -> dict[str, float]:
            if on_milestone is not None and is_main and every and step and step % every == 0:
                on_milestone(step)
            return self.add_gradients(step)

        descent = Descent(
            steps=recipe.steps, lr=recipe.lr, warmup=recipe.warmup, decay=recipe.decay,
            floor=recipe.lr_floor, clip=recipe.clip,
        )  # fmt: skip
        self.model.train()
        self.loop.descend(gradients, descent, on_step if is_main else None)
        self.model.eval()
        if on_milestone is not None and is_main:
            on_milestone(self.step)
        self.processes.wait_for_everyone()

    def add_gradients(self, step: int) -> dict[str, float]:
        """Compute the gradients of a step; returns its losses over all processes."""
        rank, count = self.processes.process_index, self.processes.num_processes
        own = self.sampler(step, rank, count)
        predicted = sum(int(example.predicted.sum()) for example in own)
        kept = sum(int(example.depth_kept.sum()) for example in own)
        rows = torch.tensor([predicted, kept], dtype=torch.float64)
        num_predicted, num_kept = self._summed(rows).tolist()
        parts = parts_of(own, self.recipe.micro_rows)
        losses = torch.zeros(2, dtype=torch.float64)
        for number, part in enumerate(parts, 1):
            is_last = number == len(parts)  # synchronizes the gradients of all processes
            with nullcontext() if is_last else self.processes.no_sync(self.objective):
                total, *terms = self.objective(*self._arguments(part), num_predicted, num_kept)
                (total * count).backward()  # gradients are averaged, losses summed
            losses += torch.stack(terms).detach().cpu().double()
        first, rest = self._summed(losses).tolist()
        return {"codebook0": first, "rest": rest}

    def loss_of(self, corpus: Corpus) -> dict[str, float]:
        """Mean losses of the exported weights over a corpus, with all acoustic codes."""
        plain = dataclasses.replace(
            self.recipe.samples, turns=(1.0,), joined=(1.0,), depth_share=1.0, any_speaker=0.0,
            history_noise=0.0, spelled_sentences=0.0,
        )  # fmt: skip
        sampler = ConversationSampler(
            corpus, self.tokenizer, plain, max_frames=self.model.config.max_frames, seed=0
        )
        examples = [sampler.example(script, place) for place, script in enumerate(sampler.scripts)]
        with self.averages.applied() if self.averages else nullcontext():
            return held_out_losses(self._new_objective(), examples, self.recipe.micro_rows)

    def weights(self) -> dict[str, Tensor]:
        """The weights to export, on the CPU: averages if there are any, with adapters merged."""
        with self.averages.applied() if self.averages else nullcontext():
            return merged(self.model, self.exact)

    def extra_state(self) -> dict[str, Any]:
        return {"averages": self.averages.state_dict()} if self.averages else {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        if self.averages and "averages" in state:
            self.averages.load_state_dict(state["averages"])

    def _new_objective(self) -> Objective:
        return Objective(
            self.model,
            autocast=self.autocast,
            depth_weight=self.recipe.depth_weight,
            codebook_weights=self.recipe.codebook_weights,
        )

    def _arguments(self, part: list[Example]) -> tuple[Tensor, ...]:
        return collate(part).to(self.processes.device).arguments()

    def _summed(self, numbers: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.processes.num_processes == 1:
            return numbers
        on_device = numbers.to(self.processes.device)
        summed: Tensor = self.processes.reduce(on_device, reduction="sum")
        return summed.cpu()


class _Trained:
    """The state of a model's trained parameters; without adapters these are all."""

    def __init__(self, model: CSM) -> None:
        self.model = model

    def state_dict(self) -> dict[str, Any]:
        trained = {name for name, p in self.model.named_parameters() if p.requires_grad}
        return {n: t for n, t in self.model.state_dict().items() if n in trained}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        missing = self.state_dict().keys() ^ state_dict.keys()
        if missing:
            raise KeyError(f"{len(missing)} trained weights differ, such as {min(missing)}")
        self.model.load_state_dict(state_dict, strict=False)


def new_model(sizes: Any, seed: int) -> CSM:
    """A model with random weights."""
    torch.manual_seed(seed)
    model = CSM(sizes)
    initialize(model)
    return model


def initialize(model: CSM) -> None:
    """Set small normal weights; the outputs to the residual stream start at zero."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim < 2:
                continue
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.zero_()
            elif "embedding" in name:
                parameter.normal_(std=0.5 if "text" in name else 0.25)
            else:
                parameter.normal_(std=parameter.shape[-1] ** -0.5 * 0.7)
        model.audio_heads.normal_(std=0.02)
        model.codebook0_head.weight.normal_(std=0.02)
