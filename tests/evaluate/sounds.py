"""Sounds made of sines, whose properties are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causerie.audio.audio import Audio
from causerie.evaluate.clip import Clip

RATE = 24_000


def tone(seconds: float, level: float = 0.3, hertz: float = 220.0) -> NDArray[np.float32]:
    times = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(round(seconds * RATE), np.float32)


def audio(*pieces: NDArray[np.float32], **facts: object) -> Audio:
    samples = np.concatenate([np.zeros(0, np.float32), *pieces])
    return Audio(samples=samples, sample_rate=RATE, **facts)  # type: ignore[arg-type]


def clip(sound: Audio, text: str = "Good morning.", **facts: object) -> Clip:
    return Clip(text=text, audio=sound, **facts)  # type: ignore[arg-type]
