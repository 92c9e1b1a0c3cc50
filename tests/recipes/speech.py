"""A folder of synthetic speech-like sounds, as the recipe's teacher would write it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

PHONEMES = "ðə kˈæt sˈæt."


def write_speech_folder(folder: Path, count: int = 6, voices: tuple[str, ...] = ("",)) -> Path:
    """`count` utterances of about a second by voices in turn: a buzz, and phonemes for it."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    start = 0
    with (folder / "part0.i16").open("wb") as audio, (folder / "part0.jsonl").open("w") as index:
        for number in range(count):
            size = 20_000 + 1_000 * number
            time = np.arange(size) / 24_000
            wave = 0.3 * np.sin(2 * np.pi * (200 + 20 * number) * time) * np.sin(9 * time)
            wave += 0.01 * random.standard_normal(size)
            audio.write((wave * 32767).astype("<i2").tobytes())
            steps = int(size / 24_000 * 40)
            row = {
                "text": "The cat sat.",
                "phonemes": PHONEMES,
                "voice": voices[number % len(voices)],
                "start": start,
                "num_samples": size,
                "durations": np.linspace(0, len(PHONEMES) + 1, steps).astype(int).tolist(),
            }
            index.write(json.dumps(row) + "\n")
            start += size
    return folder
