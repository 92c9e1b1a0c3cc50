"""How long and how fast a voice is trained, from the number of sentences and the model's size.

    steps         2 a sentence, from 100 to 3,000
    batch         8 conversations of 1 to 4 sentences: 20 on average, so each is learned 40 times
    lr            5e-4 for models below 100 million parameters, 2e-4 for others
    depth_share   1/2 below that size, 1/8 above
    checkpoints   4, each speaking 50 sentences

Knows nothing of models beyond their size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from causerie import toml_config
from causerie.errors import ConfigError
from causerie.train.lm.config import LMConfig, LMRecipe, Lora, Samples, Watch

STEPS_A_SENTENCE, MIN_STEPS, MAX_STEPS = 2, 100, 3_000
#: The voice's prompt is of earlier turns, so it learns with none to three of them.
TURNS = (0.25, 0.25, 0.25, 0.25)
BATCH, RANK = 8, 32
#: Parameters of the language model from which on it counts as large.
LARGE = 100_000_000
LR, LR_LARGE = 5e-4, 2e-4
DEPTH_SHARE, DEPTH_SHARE_LARGE = 1 / 2, 1 / 8
MAX_WARMUP, SAVE_EVERY = 100, 50
CHECKPOINTS, SENTENCES = 4, 50
#: What every checkpoint is judged by; more may be asked for.
METRICS = ("wer", "similarity", "stopping")
#: Keys of the configuration that are not the user's to change here, and why.
_FIXED = {
    "base": "that is --from",
    "data": "those are the recordings",
    "out": "that is --out",
    "device": "that is --device",
    "from_scratch": "use `causerie train lm`",
    "watch.held_out": "recordings are held out here in any case",
}


def configuration(
    *,
    base: str,
    data: str,
    out: str,
    device: str,
    num_parameters: int,
    num_sentences: int,
    steps: int | None = None,
    changes: Sequence[str] = (),
) -> LMConfig:
    """The training of a voice.

    Args:
        num_parameters: of the language model.
        num_sentences: to be learned.
        steps: in place of those that follow from the sentences.
        changes: ``a.b=value`` each, as `causerie train lm --set` takes them.

    Raises:
        ConfigError: an unknown key, a value of a wrong kind, or one that has no place here.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device must be auto, cpu or cuda for training, not {device!r}")
    place: Literal["auto", "cpu", "cuda"] = device  # type: ignore[assignment]
    if steps is None:
        steps = min(MAX_STEPS, max(MIN_STEPS, STEPS_A_SENTENCE * num_sentences))
    is_large = num_parameters >= LARGE
    every = max(1, -(-steps // CHECKPOINTS))
    usual = LMConfig(
        base=base,
        data=data,
        out=out,
        device=place,
        recipe=LMRecipe(
            steps=steps,
            lr=LR_LARGE if is_large else LR,
            warmup=max(1, min(MAX_WARMUP, steps // 10)),
            samples=Samples(
                batch=BATCH,
                turns=TURNS,
                depth_share=DEPTH_SHARE_LARGE if is_large else DEPTH_SHARE,
            ),
        ),
        lora=Lora(rank=RANK, alpha=RANK, keep="adapter"),
        watch=Watch(every=every, metrics=METRICS, count=SENTENCES),
        save_every=min(SAVE_EVERY, every),
        log_every=min(SAVE_EVERY, every),
    )
    for change in changes:
        key = change.partition("=")[0].strip()
        if key in _FIXED:
            raise ConfigError(f"--set {change}: {key} cannot be changed here; {_FIXED[key]}")
    config = toml_config.override(usual, changes)
    if not config.watch.every:
        raise ConfigError("watch.every must be above 0: a checkpoint is chosen at the end")
    missing = [name for name in METRICS if name not in config.watch.metrics]
    if missing:
        raise ConfigError(
            f"watch.metrics must have {', '.join(METRICS)}, by which a checkpoint is chosen: "
            f"{', '.join(missing)} is missing"
        )
    return config
