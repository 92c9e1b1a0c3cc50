"""Whether a voice sounds like what it was to copy: cosines between vectors of speakers.

By Resemblyzer the same speaker is about 0.88, a clearly different one below 0.70, and 0.80
separates them best. A clip in which no speech is found counts as 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from causerie.errors import AudioError
from causerie.evaluate.clip import Clip, Measured, by_voice
from causerie.evaluate.tools import Tools


def measure(clips: Sequence[Clip], tools: Tools) -> Measured:
    """Similarities of clips to what their voice was to copy, and among each other.

    Numbers: similarity, the mean of clips whose voice has something to copy, similarity_min, and
    similarity/VOICE where there are several; similarity_within, the mean between two clips of one
    voice, and similarity_across, that between two clips of different voices, where there are such.

    Raises:
        AudioError: what a voice is to be like holds no speech.
    """
    vectors = [tools.speaker(clip.audio) for clip in clips]
    goals = {clip.voice: _goal(clip, tools) for clip in clips if clip.like}
    rows: list[dict[str, float]] = []
    for clip, vector in zip(clips, vectors, strict=True):
        goal = goals.get(clip.voice)
        rows.append({} if goal is None else {"similarity": _cosine(vector, goal)})
    numbers: dict[str, float] = {}
    found = [row["similarity"] for row in rows if row]
    if found:
        numbers |= {"similarity": float(np.mean(found)), "similarity_min": min(found)}
        numbers |= by_voice("similarity", clips, [row.get("similarity") for row in rows])
    pairs = list(combinations(range(len(clips)), 2))
    for name, same in (("similarity_within", True), ("similarity_across", False)):
        cosines = [
            _cosine(vectors[one], vectors[two])
            for one, two in pairs
            if (clips[one].voice == clips[two].voice) == same
        ]
        if cosines:
            numbers[name] = float(np.mean(cosines))
    return Measured(numbers=numbers, rows=list(rows))


def _goal(clip: Clip, tools: Tools) -> NDArray[np.float32]:
    """Mean vector of what a voice is to be like."""
    vectors = [vector for audio in clip.like if (vector := tools.speaker(audio)) is not None]
    if not vectors:
        raise AudioError(
            f"no speech is found in what voice {clip.voice} is to be like: give other recordings"
        )
    mean: NDArray[np.float32] = np.mean(vectors, axis=0, dtype=np.float32)
    return mean


def _cosine(one: NDArray[np.float32] | None, two: NDArray[np.float32] | None) -> float:
    if one is None or two is None:
        return 0.0
    return float(one @ two / (np.linalg.norm(one) * np.linalg.norm(two)))
