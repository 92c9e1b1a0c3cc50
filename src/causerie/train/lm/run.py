"""A whole run of language-model training: from a configuration to a checkpoint that speaks.

    OUT/config.toml         the configuration with every default written out
    OUT/state.pt            from which a killed run goes on
    OUT/log.jsonl           curves
    OUT/checkpoints/000500  models on the way, each with figures.json, if they are wanted
    OUT/model               the trained model
    OUT/adapter             its adapters by themselves, if they are wanted

It knows nothing of evaluation: who calls it may give a judge of checkpoints.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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
from causerie.model.csm import CSM
from causerie.train.lm.config import LMConfig
from causerie.train.lm.corpus import Corpus
from causerie.train.lm.lora import add_adapters, save_adapter
from causerie.train.lm.training import LMTraining, new_model
from causerie.train.log import Log
from causerie.train.loop import OnStep
from causerie.train.processes import find_processes

#: Judges the checkpoint in a folder: figures by name, which go into the log.
Judge = Callable[[Path], Mapping[str, float]]
FIGURES = "figures.json"


def train_lm(
    config: LMConfig,
    *,
    base: Checkpoint | None = None,
    judge: Judge | None = None,
    on_step: OnStep | None = None,
    say: Callable[[str], None] = print,
    allow_changes: bool = False,
) -> Path | None:
    """Train by a configuration, or go on where a run was killed.

    Args:
        base: what ``config.base`` names, where it is loaded already; it is trained in place.
        judge: called with every checkpoint that ``watch.every`` asks for.
        on_step: called after every step with its number and losses.
        say: told what a user should know, a line each.
        allow_changes: go on though configuration or data have changed.

    Returns:
        The folder of the model, or of its adapters; None in all processes but the main one.

    Raises:
        ConfigError: contradictions, or data of another codec.
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
    model = _model(config, base)
    everything = Corpus.from_shards(data, base.front_end, model.config.num_codebooks)
    corpus, held_out = everything.split(config.watch.held_out, config.recipe.seed)
    out = Path(config.out)
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
    if not processes.is_main_process:
        training.run()
        processes.end_training()
        return None
    for note in (*everything.notes, *training.sampler.notes):
        say(note)
    if training.step:
        say(f"going on from step {training.step:,} of {config.recipe.steps:,}")
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.toml").write_text(toml_config.to_toml(config), encoding="utf-8")
    log = Log(out / "log.jsonl", every=config.log_every, tensorboard=out / "tensorboard")

    def note_step(step: int, numbers: dict[str, float]) -> None:
        log(step, numbers)
        if on_step is not None:
            on_step(step, numbers)

    def look(step: int) -> None:
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
    training.run(note_step, on_milestone=look if every else None, every=every)
    log.flush(training.step)
    keep = "merged" if config.lora is None else config.lora.keep
    if config.lora is not None and keep != "merged":
        save_adapter(model, config.lora, out / "adapter", config.base)
    if keep != "adapter":
        write_model(out / "model", base, training.weights(), model.config, config.dtype)
    processes.end_training()
    return out / ("adapter" if keep == "adapter" else "model")


def write_model(
    folder: Path, base: Checkpoint, weights: Mapping[str, Tensor], sizes: CSMConfig, dtype: str
) -> None:
    """Write a model with the tokenizer, front end, codec and voices of its base, whole or not.

    Args:
        dtype: of the language model; the codec stays as it is, else its codes would change.
    """
    stored = find_dtype(dtype, torch.device("cpu"))
    with torch.device("meta"):
        model = CSM(sizes)
    model.load_state_dict({name: t.to(stored) for name, t in weights.items()}, assign=True)
    with whole_folder(folder) as partial:
        save(partial, dataclasses.replace(base, model=model))


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to write, which takes its place when all is written: it is whole or not there."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    yield partial
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)


def _model(config: LMConfig, base: Checkpoint) -> CSM:
    """The model to be trained."""
    if config.from_scratch:
        sizes = from_dict(CSMConfig, _changed(dataclasses.asdict(base.model.config), config.model))
        return new_model(sizes, config.recipe.seed)
    if config.lora is not None:
        add_adapters(base.model, config.lora, config.recipe.seed)
    return base.model


def _changed(values: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values, some of them exchanged."""
    out = dict(values)
    for key, change in changes.items():
        nested = isinstance(change, Mapping) and isinstance(out.get(key), dict)
        out[key] = _changed(out[key], change) if nested else change
    return out
