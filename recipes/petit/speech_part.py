"""Resumes the output of a killed make_speech.py: an index of JSON lines and 16-bit samples."""

from __future__ import annotations

import json
import os
from pathlib import Path

SAMPLE_BYTES = 2


def resume(audio: Path, index: Path) -> tuple[list[str], int]:
    """Cut both files after the last complete utterance, which has its line and all its samples.

    Returns:
        The texts of the complete utterances, and the number of their samples.
    """
    texts: list[str] = []
    num_samples = index_bytes = 0
    if audio.exists() and index.exists():
        available = audio.stat().st_size // SAMPLE_BYTES
        with index.open("rb") as lines:
            for line in lines:
                row = json.loads(line) if line.endswith(b"\n") else None
                if row is None or row["start"] + row["num_samples"] > available:
                    break
                texts.append(row["text"])
                num_samples = row["start"] + row["num_samples"]
                index_bytes += len(line)
    for path, size in ((audio, num_samples * SAMPLE_BYTES), (index, index_bytes)):
        path.touch()
        os.truncate(path, size)
    return texts, num_samples
