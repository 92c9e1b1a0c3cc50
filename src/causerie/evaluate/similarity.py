"""Measures speaker similarity: cosines between speaker vectors.

By Resemblyzer the same speaker has about 0.88 and different ones 0.45 to 0.75; 0.80 separates them
best. A clip without speech counts as 0.
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
    """Similarities of clips to their voice's audio, and between clips.

    Numbers: similarity, the mean over clips whose voice has audio; similarity_min; similarity/VOICE
    if there are several voices; similarity_within, the mean between clips of one voice; and
    similarity_across, the mean between clips of different voices.

    Raises:
        AudioError: the audio of a voice has no speech.
    """
    vectors = [tools.speaker(clip.audio) for clip in clips]
    targets = {clip.voice: _target(clip, tools) for clip in clips if clip.like}
    rows: list[dict[str, float]] = []
    for clip, vector in zip(clips, vectors, strict=True):
        target = targets.get(clip.voice)
        rows.append({} if target is None else {"similarity": _cosine(vector, target)})
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


def _target(clip: Clip, tools: Tools) -> NDArray[np.float32]:
    """The mean vector of a voice's audio."""
    vectors = [vector for audio in clip.like if (vector := tools.speaker(audio)) is not None]
    if not vectors:
        raise AudioError(
            f"the audio to compare voice {clip.voice} with has no speech: give other recordings"
        )
    mean: NDArray[np.float32] = np.mean(vectors, axis=0, dtype=np.float32)
    return mean


def _cosine(one: NDArray[np.float32] | None, two: NDArray[np.float32] | None) -> float:
    if one is None or two is None:
        return 0.0
    return float(one @ two / (np.linalg.norm(one) * np.linalg.norm(two)))
