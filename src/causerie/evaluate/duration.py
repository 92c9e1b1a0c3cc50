"""Whether speech is as long as its text: seconds spoken over seconds expected.

What is expected is a straight line over the letters of the text, numbers written out. It was
fitted to the first 50 default sentences as `petit`'s teacher speaks them (hibari-tts, "heart",
ends trimmed): 0.24 s + 0.059 s a letter, which leaves 0.23 s of standard deviation and puts 90 %
of its clips between 0.86 and 1.16 of what is expected. Calmer voices lie about 1.3. The limits
are far outside of that: below 0.5 words are missing, above 2 it stalls or rambles.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causerie.evaluate.clip import Clip, Measured
from causerie.evaluate.tools import Tools
from causerie.text.normalize import normalize

BEGIN_S, LETTER_S = 0.24, 0.059
TOO_SHORT, TOO_LONG = 0.5, 2.0


def expected_s(text: str) -> float:
    """Seconds that a text usually takes."""
    letters = sum(character.isalpha() for character in normalize(text))
    return BEGIN_S + LETTER_S * letters


def measure(clips: Sequence[Clip], tools: Tools) -> Measured:
    """Ratios of clips.

    Numbers: seconds of sound in all; duration_ratio, the median, and its 5th and 95th percentile;
    too_short and too_long, the shares of clips below 0.5 and above 2.
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
