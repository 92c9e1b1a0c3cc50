"""The training configuration of a voice, by the number of sentences and the model's size.

steps         2 per sentence, from 100 to 3,000
batch         8 conversations of 1 to 4 sentences: 20 sentences on average, each learned 40 times
lr            5e-4 for models below 100 million parameters, 2e-4 for others
depth_share   1/2 below that size, 1/8 above
checkpoints   4, each speaking 50 sentences
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from causerie import toml_config
from causerie.errors import ConfigError
from causerie.train.lm.config import LMConfig, LMRecipe, Lora, Samples, Watch

STEPS_PER_SENTENCE, MIN_STEPS, MAX_STEPS = 2, 100, 3_000
#: A voice's prompt consists of earlier turns, so training uses zero to three of them.
TURNS = (0.25, 0.25, 0.25, 0.25)
BATCH, RANK = 8, 32
#: A language model with at least this number of parameters counts as large.
LARGE = 100_000_000
LR, LR_LARGE = 5e-4, 2e-4
DEPTH_SHARE, DEPTH_SHARE_LARGE = 1 / 2, 1 / 8
MAX_WARMUP, SAVE_EVERY = 100, 50
CHECKPOINTS, SENTENCES = 4, 50
#: Metrics that each checkpoint needs; users can add more.
METRICS = ("wer", "similarity", "stopping")
#: Keys of the configuration that `--set` cannot change, with the reason.
_FIXED = {
    "base": "use --from",
    "data": "it is made from the recordings",
    "out": "use --out",
    "device": "use --device",
    "from_scratch": "use `causerie train lm`",
    "watch.held_out": "held-out recordings are chosen automatically",
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
    """The training configuration of a voice.

    Args:
        num_parameters: size of the language model.
        num_sentences: number of training sentences.
        steps: overrides the number of steps.
        changes: ``a.b=value`` each, as for `causerie train lm --set`.

    Raises:
        ConfigError: a change has an unknown key, a wrong type, or cannot be made here.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device must be auto, cpu or cuda for training, not {device!r}")
    checked: Literal["auto", "cpu", "cuda"] = device  # type: ignore[assignment]
    if steps is None:
        steps = min(MAX_STEPS, max(MIN_STEPS, STEPS_PER_SENTENCE * num_sentences))
    is_large = num_parameters >= LARGE
    every = max(1, -(-steps // CHECKPOINTS))
    defaults = LMConfig(
        base=base,
        data=data,
        out=out,
        device=checked,
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
            raise ConfigError(f"--set {change}: {key} cannot be changed here: {_FIXED[key]}")
    config = toml_config.override(defaults, changes)
    if not config.watch.every:
        raise ConfigError("watch.every must be above 0: one of the checkpoints is chosen")
    missing = [name for name in METRICS if name not in config.watch.metrics]
    if missing:
        raise ConfigError(
            f"watch.metrics must include {', '.join(METRICS)}, which choose the checkpoint: "
            f"{', '.join(missing)} is missing"
        )
    return config
