"""Fine-tunes a tiny model on words that are tones, with a recognizer of these tones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.evaluate import speaking
from causerie.evaluate.tools import Tools
from causerie.finetune.report import Report
from causerie.finetune.run import FinetuneOptions, finetune
from tests.data import speech

CHANGES = (
    "watch.count=1", "recipe.samples.batch=2", "lora.rank=2", 'recipe.precision="fp32"',
)  # fmt: skip


def hear(samples: NDArray[np.float32]) -> str:
    """The words of a recording; "alpha" for the noise of an untrained model."""
    try:
        return speech.hear(samples)
    except IndexError:
        return "alpha"


def encode(audio: Audio) -> NDArray[np.float32]:
    spectrum = np.abs(np.fft.rfft(audio.resampled(16_000), 512)[:64]).astype(np.float32)
    return spectrum + np.float32(1e-3)


def tools() -> Tools:
    return Tools(recognizer=hear, encoder=encode)


def record(folder: Path, count: int = 8) -> Path:
    for number in range(count):
        words = [speech.WORDS[(number + place) % len(speech.WORDS)] for place in range(3)]
        speech.write(folder / f"{number}.wav", " ".join(words))
    return folder


def run(model: Path, folder: Path, out: Path, **options: Any) -> Report:
    speaking.MAX_DURATION_S = 0.4  # a tiny random model never stops
    values: dict[str, Any] = {
        "steps": 2, "decoder_steps": 1, "changes": CHANGES, "device": "cpu", **options,
    }  # fmt: skip
    messages: list[str] = values.pop("messages", [])
    return finetune(
        FinetuneOptions(folder=folder, base=str(model), out=out, **values),
        tools=tools(),
        detect=speech.detect,
        on_message=messages.append,
    )


class Killed(BaseException):
    """Ends a run like a kill: only `finally` blocks run after it."""


def run_and_kill(model: Path, folder: Path, out: Path, number: int) -> None:
    """Run until file number `number` is written, but not yet renamed."""
    replace, left = os.replace, number

    def count(source: Any, target: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed
        replace(source, target)
        return target

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", count)
        patch.setattr(Path, "replace", count)
        with pytest.raises(Killed):
            run(model, folder, out)
