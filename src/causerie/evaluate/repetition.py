"""Detects repetition: words repeated beyond the text, and codes that loop."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from causerie.evaluate.clip import Clip, Measured, Row
from causerie.evaluate.tools import Tools
from causerie.recognition.words import normaliser

#: Longest run of words, and longest period of codes (2 s), to look for.
MAX_WORDS, MAX_PERIOD = 6, 25
#: A loop counts from three periods and one second on.
MIN_ROUNDS, MIN_LOOP_S = 3, 1.0


def repeated_words(words: Sequence[str]) -> int:
    """Count words that repeat the run of one to six words directly before them.

    "no no no" has two, and so does "I think I think so".
    """
    repeated = position = 0
    while position < len(words):
        run = next(
            (
                size
                for size in range(MAX_WORDS, 0, -1)
                if position >= size
                and words[position - size : position] == words[position : position + size]
            ),
            0,
        )
        repeated += run
        position += run or 1
    return repeated


def looped_frames(codes: Tensor, min_frames: int) -> int:
    """The length of the longest loop in codes (K, T), in frames.

    In a loop each frame equals the frame one period before, for a period of up to 25 frames, and
    it lasts at least three periods and `min_frames`. A constant frame is a loop of period 1.
    """
    longest = 0
    for period in range(1, min(MAX_PERIOD, codes.shape[1] - 1) + 1):
        same = (codes[:, period:] == codes[:, :-period]).all(dim=0).int().tolist()
        run = 0
        for equal in [*same, 0]:
            if equal:
                run += 1
                continue
            stretch = run + period if run else 0
            if stretch >= max(MIN_ROUNDS * period, min_frames):
                longest = max(longest, stretch)
            run = 0
    return longest


def measure(clips: Sequence[Clip], tools: Tools) -> Measured:
    """Repetition in clips.

    Numbers: repeated_words, the share of recognized words that repeat others, beyond the
    repetitions of the text; looping, the share of clips whose codes loop.
    """
    normal = normaliser()
    rows: list[Row] = []
    num_words = 0
    for clip in clips:
        recognized = normal(tools.transcript(clip.audio)).split()
        num_words += len(recognized)
        extra = repeated_words(recognized) - repeated_words(normal(clip.text).split())
        row: Row = {"repeated_words": max(0, extra)}
        codes = clip.audio.codes
        if codes is not None and codes.shape[1]:
            frame_s = clip.audio.duration_s / codes.shape[1]
            looped = looped_frames(codes.to("cpu", torch.long), round(MIN_LOOP_S / frame_s))
            row["looped_s"] = looped * frame_s
        rows.append(row)
    numbers = {"repeated_words": sum(row["repeated_words"] for row in rows) / max(1, num_words)}
    coded = [row["looped_s"] for row in rows if "looped_s" in row]
    if coded:
        numbers["looping"] = sum(looped > 0 for looped in coded) / len(coded)
    return Measured(numbers=numbers, rows=rows)
