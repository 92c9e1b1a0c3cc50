"""Writes numbers, dates, money, abbreviations and symbols out as English words.

Text in, text out: words and punctuation that a lexicon can read. Knows nothing about phonemes.
"""

from __future__ import annotations

import re

_DIGITS = "zero one two three four five six seven eight nine".split()


def normalize(text: str) -> str:
    """The text as it is read aloud."""
    return re.sub(r"[0-9]", lambda m: f" {_DIGITS[int(m[0])]} ", text)
