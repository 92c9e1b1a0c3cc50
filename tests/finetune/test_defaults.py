"""The default training configuration of a voice."""

from __future__ import annotations

from typing import Any

import pytest

from causerie.errors import ConfigError
from causerie.finetune.defaults import configuration
from causerie.train.lm.config import LMConfig


def configure(**changes: Any) -> LMConfig:
    values = {
        "base": "petit", "data": "d", "out": "o", "device": "cpu", "num_parameters": 10_000_000,
        "num_sentences": 100, **changes,
    }  # fmt: skip
    return configuration(**values)


def test_steps_and_learning_rate_follow_from_sentences_and_size() -> None:
    small = configure()
    assert (small.recipe.steps, small.recipe.lr, small.watch.every) == (200, 5e-4, 50)
    assert small.recipe.samples.depth_share == 1 / 2
    large = configure(num_parameters=1_600_000_000)
    assert (large.recipe.lr, large.recipe.samples.depth_share) == (2e-4, 1 / 8)
    assert configure(num_sentences=10).recipe.steps == 100
    assert configure(num_sentences=10_000).recipe.steps == 3_000
    few = configure(steps=3)
    assert (few.recipe.steps, few.recipe.warmup, few.watch.every, few.save_every) == (3, 1, 1, 1)


def test_voices_are_learned_with_and_without_earlier_turns() -> None:
    assert len(configure().recipe.samples.turns) > 1
    assert min(configure().recipe.samples.turns) > 0


def test_values_can_be_changed() -> None:
    changed = configure(changes=["recipe.lr=1e-4", "lora.rank=8", 'watch.sentences="mine.txt"'])
    assert changed.recipe.lr == 1e-4
    assert changed.lora is not None
    assert changed.lora.rank == 8
    assert changed.watch.sentences == "mine.txt"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("recipe.lrr=1", "unknown key recipe.lrr: did you mean lr"),
        ("base=other", "base cannot be changed here: use --from"),
        ("from_scratch=true", "use `causerie train lm`"),
        ("watch.every=0", "watch.every must be above 0"),
        ('watch.metrics=["wer"]', "similarity, stopping is missing"),
        ("recipe.steps=few", "recipe.steps must be a whole number, not 'few'"),
    ],
)
def test_wrong_changes_are_refused(change: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configure(changes=[change])
    assert message in str(caught.value)


def test_devices_are_those_of_training() -> None:
    with pytest.raises(ConfigError, match="device must be auto, cpu or cuda"):
        configure(device="tpu")
