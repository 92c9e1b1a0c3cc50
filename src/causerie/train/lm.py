"""Training of a CSM on encoded speech, resumable to the bit.

A sample is a conversation of a few turns, each ``text rows, audio rows, stop row``; a turn joins
a few utterances, so that lengths beyond those of single sentences are learned. Codebook 0 is
learned on every audio and stop row, the acoustic codebooks on a random part of them. Part of the
words may be spelled instead of pronounced, so that the model can read what a lexicon lacks; part
of the history may be corrupted, so that it survives its own mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from causerie.config import CSMConfig
from causerie.errors import ConfigError
from causerie.model.csm import CSM, loss
from causerie.text.pronounce import PUNCTUATION, spell
from causerie.text.tokenizer import TextTokenizer
from causerie.train.data import EncodedSpeech
from causerie.train.loop import Loop, OnStep
from causerie.train.muon import MuonAdamW


@dataclass(frozen=True, kw_only=True)
class LMRecipe:
    """Everything a run depends on, beside the data and the tokenizer.

    Attributes:
        turns: chances of conversations of one, two, … turns.
        joined: chances of turns of one, two, … utterances.
        depth_share: part of the rows whose acoustic codes are learned.
        codebook_weights: of the acoustic codebooks; None weighs them alike.
        spelled_sentences: part of the utterances in which words are spelled …
        spelled_words: … and what part of their words.
        any_speaker: part of the turns with a speaker number of 0 … 9 by chance, in place of 0.
        history_noise: part of the codes the backbone reads that are exchanged for others.
    """

    steps: int
    batch: int = 32
    lr: float = 2e-3
    warmup: int = 200
    weight_decay: float = 0.05
    depth_share: float = 0.5
    depth_weight: float = 1.0
    codebook_weights: tuple[float, ...] | None = None
    turns: tuple[float, ...] = (0.7, 0.3)
    joined: tuple[float, ...] = (0.6, 0.3, 0.1)
    spelled_sentences: float = 0.3
    spelled_words: float = 0.3
    any_speaker: float = 0.0
    history_noise: float = 0.0
    autocast: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Batch:
    """Rows of conversations, right-padded.

    Attributes:
        frames: (B, S, K+1) long; mask: the same shape, bool.
        predicted: (B, S) bool, audio and stop rows.
    """

    frames: Tensor
    mask: Tensor
    predicted: Tensor


class ConversationSampler:
    """Batches of conversations; what step n draws depends on (seed, n) alone.

    Four times the batch is drawn, sorted by length, and a quarter of it taken, so that rows of
    like length meet and little is padding. Turns that end past `max_frames` rows are left out.
    """

    def __init__(
        self, speech: EncodedSpeech, tokenizer: TextTokenizer, recipe: LMRecipe, max_frames: int
    ) -> None:
        self.speech, self.tokenizer, self.recipe = speech, tokenizer, recipe
        self.max_frames = max_frames

    def __call__(self, step: int) -> Batch:
        recipe = self.recipe
        random = np.random.default_rng((recipe.seed, step))
        drawn = [
            [
                random.integers(len(self.speech), size=joined)
                for joined in _counts(recipe.joined, turns, random)
            ]
            for turns in _counts(recipe.turns, 4 * recipe.batch, random)
        ]
        frames_of = np.diff(self.speech.starts)
        drawn.sort(key=lambda turns: sum(int(frames_of[turn].sum()) for turn in turns))
        quarter = random.integers(4) * recipe.batch
        rows = [
            leading([self._segment(turn, random) for turn in turns], self.max_frames)
            for turns in drawn[quarter : quarter + recipe.batch]
        ]
        return collate(rows)

    def _segment(self, turn: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Rows (n, K+1) of a turn of utterances; -1 marks a slot that is masked out."""
        spoken = []
        for index in turn:
            phonemes = self.speech.phonemes[index]
            if random.random() < self.recipe.spelled_sentences:
                phonemes = spell_some(
                    self.speech.texts[index], phonemes, self.recipe.spelled_words, random
                )
            spoken.append(phonemes)
        speaker = int(random.integers(10)) if random.random() < self.recipe.any_speaker else 0
        tokens = self.tokenizer.encode(" ".join(spoken), speaker)
        codes = np.concatenate([self.speech.codes_of(index) for index in turn])
        rows = np.full((len(tokens) + len(codes) + 1, codes.shape[1] + 1), -1, np.int64)
        rows[: len(tokens), -1] = tokens
        rows[len(tokens) : -1, :-1] = codes
        rows[-1, :-1] = 0
        return rows


def _counts(chances: tuple[float, ...], size: int, random: np.random.Generator) -> np.ndarray:
    """`size` draws of 1, 2, … by their chances."""
    return random.choice(np.arange(1, len(chances) + 1), p=chances, size=size)


def leading(turns: list[np.ndarray], max_frames: int) -> np.ndarray:
    """Rows (n, K+1) of as many whole turns as fit in `max_frames`, from the first on.

    Raises:
        ConfigError: not even the first one fits.
    """
    ends = np.cumsum([len(turn) for turn in turns])
    fitting = int(np.searchsorted(ends, max_frames, side="right"))
    if not fitting:
        raise ConfigError(
            f"a turn of {ends[0]} rows does not fit in the model's max_frames of {max_frames}: "
            "raise it, train on shorter utterances, or join fewer of them to a turn"
        )
    return np.concatenate(turns[:fitting])


def collate(rows: list[np.ndarray]) -> Batch:
    """Pad conversations of rows (n, K+1), in which -1 is masked out, to one length."""
    length = max(len(row) for row in rows)
    frames = np.full((len(rows), length, rows[0].shape[1]), -1, np.int64)
    for out, row in zip(frames, rows, strict=True):
        out[: len(row)] = row
    mask = torch.from_numpy(frames >= 0)
    return Batch(torch.from_numpy(frames).clamp(min=0), mask, mask[..., 0])


def spell_some(text: str, phonemes: str, share: float, random: np.random.Generator) -> str:
    """Replace a share of the words by their spelling, where text and phonemes go word by word."""
    words = text.replace("-", " ").split()
    sounds = phonemes.split(" ")
    if len(words) != len(sounds):
        return phonemes
    out = []
    for word, sound in zip(words, sounds, strict=True):
        letters = spell(word)
        if letters and random.random() < share:
            core = sound.rstrip(PUNCTUATION)
            out.append(letters + sound[len(core) :])
        else:
            out.append(sound)
    return " ".join(out)


class LMPhase:
    """One step of training."""

    def __init__(self, model: CSM, recipe: LMRecipe) -> None:
        self.model, self.recipe = model, recipe
        self.modules: dict[str, nn.Module] = {"model": model}
        self.parameters = list(model.parameters())

    def __call__(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        recipe = self.recipe
        chance = torch.rand(batch.predicted.shape, generator=generator)
        kept = batch.predicted & (chance < recipe.depth_share)
        weights = None if recipe.codebook_weights is None else torch.tensor(recipe.codebook_weights)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.autocast):
            first, rest = loss(
                self.model,
                batch.frames,
                batch.mask,
                batch.predicted,
                kept,
                inputs=corrupt_history(batch, recipe.history_noise, generator),
                codebook_weights=weights,
            )
        return first + recipe.depth_weight * rest, {"codebook0": first.item(), "rest": rest.item()}

    def extra_state(self) -> dict[str, Any]:
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        assert not state


def corrupt_history(batch: Batch, share: float, generator: torch.Generator) -> Tensor:
    """Frames in which a share of the audio codes comes from another row of the batch."""
    if not share:
        return batch.frames
    audio = batch.frames[batch.predicted]  # (M, K+1)
    others = audio[torch.randperm(len(audio), generator=generator)]
    swap = torch.rand(audio.shape, generator=generator) < share
    out = batch.frames.clone()
    out[batch.predicted] = torch.where(swap, others, audio)
    return out


def train_lm(
    config: CSMConfig,
    recipe: LMRecipe,
    speech: EncodedSpeech,
    tokenizer: TextTokenizer,
    out: Path,
    *,
    start_from: dict[str, Tensor] | None = None,
    on_step: OnStep | None = None,
) -> CSM:
    """Train until ``recipe.steps``, resuming from ``out/state.pt`` where it exists.

    Args:
        start_from: weights to begin with.
        on_step: called after every step with its number and losses.
    """
    torch.manual_seed(recipe.seed)
    model = CSM(config)
    initialize(model)
    if start_from is not None:
        model.load_state_dict(start_from)
    phase = LMPhase(model, recipe)
    optimizer = MuonAdamW(model, lr=recipe.lr, weight_decay=recipe.weight_decay)
    sampler = ConversationSampler(speech, tokenizer, recipe, config.max_frames)
    loop = Loop(out / "state.pt", phase, optimizer, seed=recipe.seed)
    loop.run(lambda step: phase(sampler(step), loop.generator), recipe, on_step)
    return model


def initialize(model: CSM) -> None:
    """Small normal weights; what adds to the residual stream starts at zero."""
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
