"""The configuration of language model training, as frozen dataclasses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from causerie.errors import ConfigError
from causerie.train.log import EVERY
from causerie.train.loop import SAVE_EVERY, Decay

#: Linear layers inside the layers of backbone and depth decoder that LoRA can adapt.
LAYER_PARTS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Settings for the training examples of a step.

    Attributes:
        batch: conversations per step, over all processes.
        learn: "all" trains on every turn of a conversation, with the earlier turns as context.
            "last" makes one example per turn, with as many earlier turns as fit.
        turns: probabilities of conversations of one, two, … turns. Single turns of one speaker are
            combined into such conversations.
        joined: probabilities of turns of one, two, … utterances. Single turns are joined likewise.
        default_speaker: name of the speaker that the model imitates without context. Other
            speakers have a loss only from their second turn on, the first being context, so their
            combined conversations have at least two turns. None: every turn has a loss, and the
            voice without context is arbitrary.
        depth_share: share of the rows whose acoustic codes have a loss; Sesame uses 1/16.
        any_speaker: share of the conversations with random speaker numbers, 0 to 9.
        history_noise: share of the codes in the backbone's input that are replaced by others.
        spelled_sentences: share of the utterances in which words are spelled.
        spelled_words: share of the words that are spelled in these utterances. Spelling is for
            models that read phonemes.
        unpunctuated: share of the turns whose text lacks its final punctuation, as people often
            write it. A model that has always seen it goes on speaking until it comes.
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
    unpunctuated: float = 0.0

    def __post_init__(self) -> None:
        _at_least(self, 1, "batch")
        for name in ("turns", "joined"):
            chances = getattr(self, name)
            if not chances or min(chances) < 0 or not math.isclose(sum(chances), 1, abs_tol=1e-6):
                raise ConfigError(
                    f"{name} must be probabilities that sum to 1, not {list(chances)}"
                )
        for name in (
            "depth_share", "any_speaker", "history_noise", "spelled_sentences", "spelled_words",
            "unpunctuated",
        ):  # fmt: skip
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be from 0 to 1, not {getattr(self, name)}")
        if not self.depth_share:
            raise ConfigError("depth_share must be above 0, or the depth decoder learns nothing")


@dataclass(frozen=True, kw_only=True)
class LMRecipe:
    """Everything the weights depend on, apart from the data and the initial weights.

    Attributes:
        lr: highest learning rate. Good values to start with: 2e-4 for LoRA, 3e-5 for all weights
            of a trained model, 2e-3 from scratch.
        lr_floor: final learning rate, as a share of `lr`.
        optimizer: "adamw", or "muon" for training from scratch.
        clip: maximum gradient norm.
        ema: decay of the weight averages that are evaluated and exported; 0 for none.
        codebook_weights: loss weights of the acoustic codebooks; None for equal weights.
        precision: precision of matrix products; with "bf16" they are in fp32 on processors that
            only emulate bf16. Trained weights, their averages, norms, rotary angles, softmax and
            losses are always fp32.
        micro_rows: most rows, padding included, that a process computes at once; it accumulates
            the gradients of its part of a batch.
        recompute: recompute layers in the backward pass, which needs less memory.
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
            raise ConfigError(f"ema must be at least 0 and below 1, not {self.ema}")
        if len(self.betas) != 2:
            raise ConfigError(f"betas must be two numbers, not {list(self.betas)}")


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Low-rank adapters.

    Attributes:
        alpha: adapters are scaled by alpha / rank.
        parts: adapted parts of the model. "heads" are the projection and the codebook heads, which
            are trained in full.
        layers: adapted linear layers inside the transformer layers.
        keep: output: the "merged" model, the "adapter" in peft's format, or "both".
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
            raise ConfigError("parts must include backbone or depth, or there is nothing to adapt")


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Intermediate checkpoints and their evaluation.

    Attributes:
        every: steps between checkpoints; 0 for none.
        held_out: number of conversations kept out of training; their loss is measured.
        metrics: metrics of each checkpoint's speech, named as in `causerie eval`.
        sentences: file with the sentences to speak, one per line; by default those of
            `causerie eval`.
        count: number of sentences to speak.
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
    """The configuration of ``causerie train lm``.

    Attributes:
        base: checkpoint to start from, as for `causerie say --model`: its weights, tokenizer, front
            end and codec.
        data: folder written by ``causerie data prepare``.
        out: folder for the state, the curves and the trained model.
        device: "auto", "cpu" or "cuda".
        from_scratch: start with random weights. Required if `model` changes sizes of the base.
        lora: train adapters instead of all weights.
        dtype: data type of the written weights.
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
            raise ConfigError("lora adapts trained weights and cannot be used with from_scratch")
        if self.lora and self.recipe.optimizer == "muon":
            raise ConfigError('optimizer "muon" is for training from scratch: use "adamw" for lora')


def _at_least(config: object, least: int, *names: str) -> None:
    for name in names:
        if getattr(config, name) < least:
            raise ConfigError(f"{name} must be at least {least}, not {getattr(config, name)}")
