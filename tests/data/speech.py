"""Words that are tones, and a listener and a detector that know them: speech without a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from causerie.data.activity import RATE, STEP
from tests import tiny

WORDS = "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima".split()
RATE_OUT = 24_000
WORD_S, GAP_S = 0.3, 0.05  # gaps are no pauses, those between sentences are
PAUSE_S = 0.6


def say(text: str, rate: int = RATE_OUT, level: float = 0.2) -> NDArray[np.float32]:
    """Samples (N,); a full stop is a pause of 0.6 s."""
    parts = [np.zeros(int(0.4 * rate))]
    times = np.arange(int(WORD_S * rate)) / rate
    fade = np.minimum(1, np.minimum(times, WORD_S - times) / 0.01)
    for word in text.lower().split():
        tone = 300 + 150 * WORDS.index(word.strip("."))
        parts.append(level * fade * np.sin(2 * np.pi * tone * times))
        parts.append(np.zeros(int((PAUSE_S if word.endswith(".") else GAP_S) * rate)))
    return np.concatenate([*parts, np.zeros(int(0.4 * rate))]).astype(np.float32)


def hear(samples: NDArray[np.float32]) -> str:
    """The words in samples at 16 kHz."""
    size = RATE // 100
    blocks = samples[: len(samples) // size * size].reshape(-1, size)
    loud = np.abs(blocks).max(axis=1) > 0.3 * np.abs(samples).max()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
    found = []
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        if last - first < 10:
            continue
        spectrum = np.abs(np.fft.rfft(blocks[first:last].reshape(-1), RATE))
        found.append(WORDS[round((int(spectrum.argmax()) - 300) / 150)])
    return " ".join(found)


def detect(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability of speech in each step."""
    steps = np.pad(samples, (0, -len(samples) % STEP)).reshape(-1, STEP)
    return (np.sqrt(np.square(steps).mean(axis=1)) > 0.02).astype(np.float32)


def write(path: Path, text: str, *, said: str | None = None, level: float = 0.2) -> None:
    """A sound file and its transcript, which may differ from its words."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, say(text if said is None else said, level=level), RATE_OUT)
    if text:
        path.with_suffix(".txt").write_text(text + "\n", "utf-8")


CODEC = tiny.mimi()
