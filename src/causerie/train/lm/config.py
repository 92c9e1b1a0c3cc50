"""What a language-model training depends on, as frozen data. Knows nothing of how it is done."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from causerie.errors import ConfigError
from causerie.train.log import EVERY
from causerie.train.loop import SAVE_EVERY, Decay

#: Linear maps inside the layers of backbone and depth decoder that LoRA may adapt.
LAYER_PARTS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What a step learns from.

    Attributes:
        batch: conversations a step, over all processes together.
        learn: "all" turns of a conversation, each with those before it as context; or "last",
            where each turn is in its turn the last one, learned after as many earlier ones as fit.
        turns: chances of conversations of one, two, … turns. Turns that stand alone in the data
            are put together for it, all of one speaker.
        joined: chances of turns of one, two, … utterances that stand alone, likewise.
        default_speaker: of the data, who a model sounds like before anybody has spoken. Other
            speakers are learned only from their second turn in a conversation on, the first being
            context; conversations that are put together of theirs have two turns at least. None:
            every turn is learned, and a voice without context is anybody's.
        depth_share: part of the rows whose acoustic codes are learned; Sesame's is a sixteenth.
        any_speaker: part of the conversations with random speaker numbers of 0 … 9.
        history_noise: part of the codes the backbone reads that are exchanged for others.
        spelled_sentences: part of the utterances in which words are spelled …
        spelled_words: … and what part of their words; both for models that read phonemes.
    """

    batch: int = 32
    learn: Literal["all", "last"] = "all"
    turns: tuple[float, ...] = (1.0,)
    joined: tuple[float, ...] = (1.0,)
    default_speaker: str | None = None
    depth_share: float = 1 / 16
    any_speaker: float = 0.0
    history_noise: float = 0.0
    spelled_sentences: float = 0.0
    spelled_words: float = 0.3

    def __post_init__(self) -> None:
        _at_least(self, 1, "batch")
        for name in ("turns", "joined"):
            chances = getattr(self, name)
            if not chances or min(chances) < 0 or not math.isclose(sum(chances), 1, abs_tol=1e-6):
                raise ConfigError(f"{name} must be chances that sum to 1, not {list(chances)}")
        for name in (
            "depth_share", "any_speaker", "history_noise", "spelled_sentences", "spelled_words"
        ):  # fmt: skip
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be from 0 to 1, not {getattr(self, name)}")
        if not self.depth_share:
            raise ConfigError("depth_share must be above 0: the depth decoder has to learn")


@dataclass(frozen=True, kw_only=True)
class LMRecipe:
    """All that the weights depend on, beside the data and the weights to start from.

    Attributes:
        lr: highest learning rate. As a start: 2e-4 for LoRA, 3e-5 for all weights of a trained
            model, 2e-3 from scratch.
        lr_floor: part of it that is left at the end.
        optimizer: "adamw"; or "muon", for training from scratch.
        clip: norm of the gradient at most.
        ema: decay of the averages of the weights that are evaluated and exported; 0 for none.
        codebook_weights: of the acoustic codebooks; None weighs them alike.
        precision: of matrix products. Weights that are trained, their averages, norms, angles,
            softmax and losses are fp32 always.
        micro_rows: rows, padding included, that a process takes at once; the rest of its part of
            a batch follows before the step.
        recompute: layers are computed again on the way back, which needs less memory.
    """

    steps: int
    lr: float
    samples: Samples = field(default_factory=Samples)
    optimizer: Literal["adamw", "muon"] = "adamw"
    warmup: int = 100
    decay: Decay = "cosine"
    lr_floor: float = 0.02
    betas: tuple[float, ...] = (0.9, 0.98)
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.0
    depth_weight: float = 1.0
    codebook_weights: tuple[float, ...] | None = None
    precision: Literal["bf16", "fp32"] = "bf16"
    micro_rows: int = 16_384
    recompute: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least(self, 1, "steps", "micro_rows")
        _at_least(self, 0, "warmup", "weight_decay", "depth_weight", "seed")
        for name in ("lr", "clip"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"ema must be from 0 up to, but not, 1, not {self.ema}")
        if len(self.betas) != 2:
            raise ConfigError(f"betas must be two numbers, not {list(self.betas)}")


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Low-rank adapters, and where.

    Attributes:
        alpha: adapters are scaled by alpha / rank.
        parts: of the model; "heads" are the projection and the codebooks' heads, trained in full.
        layers: linear maps inside the layers.
        keep: what is written: the "merged" model, the "adapter" as peft has it, or "both".
    """

    rank: int = 32
    alpha: float = 32.0
    parts: tuple[Literal["backbone", "depth", "heads"], ...] = ("backbone", "depth")
    layers: tuple[str, ...] = LAYER_PARTS
    keep: Literal["merged", "adapter", "both"] = "merged"

    def __post_init__(self) -> None:
        _at_least(self, 1, "rank")
        unknown = [name for name in self.layers if name not in LAYER_PARTS]
        if unknown or not self.layers:
            raise ConfigError(f"layers must be some of {', '.join(LAYER_PARTS)}, not {unknown}")
        if not {"backbone", "depth"} & {*self.parts}:
            raise ConfigError("parts must have backbone or depth: else there is nothing to adapt")


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What is measured while a run goes on.

    Attributes:
        every: steps from one checkpoint with its figures to the next; 0 for none.
        held_out: conversations that are not learned; their loss is among the figures.
        metrics: by which a checkpoint's speech is judged, as `causerie eval` names them.
        sentences: a file of what it speaks, a line each; `causerie eval` has its own.
        count: of sentences.
    """

    every: int = 0
    held_out: int = 0
    metrics: tuple[str, ...] = ()
    sentences: str = ""
    count: int = 20

    def __post_init__(self) -> None:
        _at_least(self, 0, "every", "held_out")
        _at_least(self, 1, "count")


@dataclass(frozen=True, kw_only=True)
class LMConfig:
    """A whole run of ``causerie train lm``.

    Attributes:
        base: a checkpoint, from wherever `causerie say --model` takes one: its weights, tokenizer,
            front end and codec.
        data: a folder that ``causerie data prepare`` wrote.
        out: a folder for the state, the curves, and the trained model.
        device: "auto", "cpu" or "cuda".
        from_scratch: begin with random weights; only then may `model` change sizes of the base.
        lora: train adapters in place of all weights.
        dtype: of the written weights.
    """

    base: str
    data: str
    out: str
    recipe: LMRecipe
    device: Literal["auto", "cpu", "cuda"] = "auto"
    from_scratch: bool = False
    model: dict[str, Any] = field(default_factory=dict)
    lora: Lora | None = None
    watch: Watch = field(default_factory=Watch)
    save_every: int = SAVE_EVERY
    log_every: int = EVERY
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"

    def __post_init__(self) -> None:
        _at_least(self, 1, "save_every", "log_every")
        if self.model and not self.from_scratch:
            raise ConfigError("model changes sizes, which needs from_scratch = true")
        if self.lora and self.from_scratch:
            raise ConfigError("lora adapts trained weights: it does not go with from_scratch")
        if self.lora and self.recipe.optimizer == "muon":
            raise ConfigError('optimizer "muon" is for training from scratch: use "adamw" for lora')


def _at_least(config: object, least: int, *names: str) -> None:
    for name in names:
        if getattr(config, name) < least:
            raise ConfigError(f"{name} must be at least {least}, not {getattr(config, name)}")
