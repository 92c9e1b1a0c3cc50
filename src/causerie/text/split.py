"""Splits long text where a reader would pause. Knows nothing of models."""

from __future__ import annotations

import re

# After the end of a sentence; else after a comma or the like; else between words.
_BREAKS = (
    re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|\n+"),
    re.compile(r"(?<=[,;:—–])\s+"),
    re.compile(r"\s+"),
)


def split(text: str, max_chars: int) -> list[str]:
    """Pieces of a text, each as long as possible but at most `max_chars` characters.

    They end at sentence ends where they can; a longer sentence is cut at commas, then between
    words. A single longer word stays whole. White space between pieces is lost, nothing else is.
    """
    return _split(text.strip(), max_chars, 0)


def _split(text: str, max_chars: int, level: int) -> list[str]:
    if len(text) <= max_chars or level == len(_BREAKS):
        return [text] if text else []
    pieces: list[str] = []
    for part in _cut(text, _BREAKS[level]):
        joined = f"{pieces[-1]} {part}" if pieces else part
        if pieces and len(joined) <= max_chars:
            pieces[-1] = joined
        else:
            pieces.extend(_split(part, max_chars, level + 1))
    return pieces


def _cut(text: str, pattern: re.Pattern[str]) -> list[str]:
    """Parts of a text, cut at the white space that ends each match."""
    parts, start = [], 0
    for match in pattern.finditer(text):
        parts.append(text[start : match.end()].strip())
        start = match.end()
    parts.append(text[start:].strip())
    return [part for part in parts if part]
