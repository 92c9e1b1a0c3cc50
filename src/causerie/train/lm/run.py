"""A complete language model training run: from a configuration to a checkpoint.

    OUT/config.toml         the configuration, with all defaults written out
    OUT/state.pt            the state from which a killed run resumes
    OUT/log.jsonl           training curves
    OUT/checkpoints/000500  intermediate models, each with figures.json (`watch.every`)
    OUT/model               the trained model
    OUT/adapter             its adapters alone (`lora.keep`)

Knows nothing of evaluation; callers can pass a judge of checkpoints.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from causerie import toml_config
from causerie.checkpoint.load import Checkpoint, load
from causerie.checkpoint.save import save
from causerie.config import CSMConfig
from causerie.data.shards import SpeechData, write_whole
from causerie.dataclass_dict import from_dict
from causerie.device import find_dtype
from causerie.errors import ConfigError
from causerie.folder_lock import lock_folder
from causerie.model.csm import CSM
from causerie.train.lm.config import LMConfig
from causerie.train.lm.corpus import Corpus
from causerie.train.lm.lora import add_adapters, save_adapter
from causerie.train.lm.training import LMTraining, new_model
from causerie.train.log import Log
from causerie.train.loop import OnStep
from causerie.train.processes import find_processes

#: Returns figures of the checkpoint in a folder, by name; they are logged.
Judge = Callable[[Path], Mapping[str, float]]
FIGURES = "figures.json"


def train_lm(
    config: LMConfig,
    *,
    base: Checkpoint | None = None,
    judge: Judge | None = None,
    on_step: OnStep | None = None,
    on_message: Callable[[str], None] = print,
    allow_changes: bool = False,
) -> Path | None:
    """Train by a configuration, or resume a killed run.

    Args:
        base: the loaded checkpoint ``config.base``, if the caller has it; trained in place.
        judge: called with each checkpoint that ``watch.every`` writes.
        on_step: called after each step with its number and losses.
        on_message: called with each line for the user.
        allow_changes: resume even if configuration or data have changed.

    Returns:
        The folder of the model, or of its adapters; None in all processes but the main one.

    Raises:
        ConfigError: the configuration contradicts itself, the data are of another codec, or
            another run uses the output folder.
        CheckpointError: the base cannot be loaded.
    """
    processes = find_processes(config.device)
    base = base or load(config.base)
    data = SpeechData.open(config.data)
    data.require_codec(base.codec)
    if config.recipe.samples.spelled_sentences and base.front_end.lexicon is None:
        raise ConfigError(
            "recipe.samples.spelled_sentences needs a model that reads phonemes, but "
            f"{config.base} reads plain text: leave it out"
        )
    out = Path(config.out)
    with lock_folder(out) if processes.is_main_process else nullcontext():
        model = _model(config, base)
        full_corpus = Corpus.from_shards(data, base.front_end, model.config.num_codebooks)
        corpus, held_out = full_corpus.split(config.watch.held_out, config.recipe.seed)
        training = LMTraining(
            model,
            config.recipe,
            corpus,
            base.tokenizer,
            out / "state.pt",
            processes=processes,
            save_every=config.save_every,
            allow_changes=allow_changes,
            facts={
                "base": config.base,
                "from_scratch": config.from_scratch,
                "lora": None if config.lora is None else dataclasses.asdict(config.lora),
            },
        )
        folder = None
        if processes.is_main_process:
            for note in (*full_corpus.notes, *training.sampler.notes):
                on_message(note)
            if training.step:
                on_message(f"resuming at step {training.step:,} of {config.recipe.steps:,}")
            folder = _run(config, base, training, held_out, judge, on_step)
        else:
            training.run()
        processes.end_training()
    return folder


def _run(
    config: LMConfig,
    base: Checkpoint,
    training: LMTraining,
    held_out: Corpus,
    judge: Judge | None,
    on_step: OnStep | None,
) -> Path:
    """Do the remaining steps in the main process, and write the model; returns its folder."""
    out, model = Path(config.out), training.model
    (out / "config.toml").write_text(toml_config.to_toml(config), encoding="utf-8")
    log = Log(out / "log.jsonl", every=config.log_every, tensorboard=out / "tensorboard")

    def log_step(step: int, numbers: dict[str, float]) -> None:
        log(step, numbers)
        if on_step is not None:
            on_step(step, numbers)

    def write_checkpoint(step: int) -> None:
        folder = out / "checkpoints" / f"{step:06d}"
        if (folder / FIGURES).exists():
            return
        write_model(folder, base, training.weights(), model.config, config.dtype)
        figures = training.loss_of(held_out) if held_out.conversations else {}
        figures |= judge(folder) if judge is not None else {}
        log.note(step, figures)
        figures = {"step": step, **figures}
        write_whole(folder / FIGURES, (json.dumps(figures, indent=2) + "\n").encode())

    every = config.watch.every
    training.run(log_step, on_milestone=write_checkpoint if every else None, every=every)
    log.flush(training.step)
    keep = "merged" if config.lora is None else config.lora.keep
    if config.lora is not None and keep != "merged":
        save_adapter(model, config.lora, out / "adapter", config.base)
    if keep != "adapter":
        write_model(out / "model", base, training.weights(), model.config, config.dtype)
    return out / ("adapter" if keep == "adapter" else "model")


def write_model(
    folder: Path, base: Checkpoint, weights: Mapping[str, Tensor], sizes: CSMConfig, dtype: str
) -> None:
    """Write a model with the tokenizer, front end, codec and voices of its base, atomically.

    Args:
        dtype: of the language model. The codec keeps its dtype; otherwise its codes would change.
    """
    stored = find_dtype(dtype, torch.device("cpu"))
    with torch.device("meta"):
        model = CSM(sizes)
    model.load_state_dict({name: t.to(stored) for name, t in weights.items()}, assign=True)
    with whole_folder(folder) as partial:
        save(partial, dataclasses.replace(base, model=model))


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder that replaces `folder` at the end, so that `folder` is never partial."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    yield partial
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)


def _model(config: LMConfig, base: Checkpoint) -> CSM:
    """The model to train."""
    if config.from_scratch:
        sizes = from_dict(CSMConfig, _updated(dataclasses.asdict(base.model.config), config.model))
        return new_model(sizes, config.recipe.seed)
    if config.lora is not None:
        add_adapters(base.model, config.lora, config.recipe.seed)
    return base.model


def _updated(values: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values with some of them replaced."""
    out = dict(values)
    for key, change in changes.items():
        nested = isinstance(change, Mapping) and isinstance(out.get(key), dict)
        out[key] = _updated(out[key], change) if nested else change
    return out
