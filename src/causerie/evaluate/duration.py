"""Compares the duration of speech with the duration expected for its text.

The expected duration is 0.24 s + 0.059 s per letter, with numbers written out. The line was fitted
to the first 50 default sentences by a teacher of `petit` (hibari-tts, "heart", ends trimmed), with
a standard deviation of 0.23 s; 90 % of these clips have ratios between 0.86 and 1.16. Calmer voices
have about 1.3. Below 0.5 words are missing; above 2 the speech stalls or rambles.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causerie.evaluate.clip import Clip, Measured
from causerie.evaluate.tools import Tools
from causerie.text.front_end import in_words

BEGIN_S, LETTER_S = 0.24, 0.059
TOO_SHORT, TOO_LONG = 0.5, 2.0


def expected_s(text: str) -> float:
    """The expected duration of a text."""
    letters = sum(character.isalpha() for character in in_words(text))
    return BEGIN_S + LETTER_S * letters


def measure(clips: Sequence[Clip], tools: Tools) -> Measured:
    """Ratios of clips.

    Numbers: seconds, the total duration; duration_ratio, the median, with its 5th and 95th
    percentiles; too_short and too_long, the shares of clips below 0.5 and above 2.
    """
    ratios = [clip.audio.duration_s / expected_s(clip.text) for clip in clips]
    low, middle, high = np.percentile(ratios, [5, 50, 95]).tolist()
    numbers = {
        "seconds": sum(clip.audio.duration_s for clip in clips),
        "duration_ratio": middle,
        "duration_ratio_p5": low,
        "duration_ratio_p95": high,
        "too_short": sum(ratio < TOO_SHORT for ratio in ratios) / len(ratios),
        "too_long": sum(ratio > TOO_LONG for ratio in ratios) / len(ratios),
    }
    rows = [
        {"seconds": round(clip.audio.duration_s, 3), "duration_ratio": ratio}
        for clip, ratio in zip(clips, ratios, strict=True)
    ]
    return Measured(numbers=numbers, rows=list(rows))
