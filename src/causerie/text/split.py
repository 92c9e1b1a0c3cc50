"""Splits long text where a reader would pause. Does not know models."""

from __future__ import annotations

import re
from collections.abc import Callable

import sentencex


def split(text: str, max_chars: int) -> list[str]:
    """Pieces of a text, each as long as possible but at most `max_chars` characters.

    Pieces end at the ends of sentences; a sentence longer than that is cut at commas, then between
    words. A longer word is not cut. Only white space between pieces is lost.
    """
    return _split(text.strip(), max_chars, 0)


def sentences(text: str, *, keep: bool = False) -> list[str]:
    """The sentences of a text; a line break ends one, "Dr." and "$3.50" do not.

    Args:
        keep: keep the white space after each, so that they join to the text.
    """
    found = [
        sentence for line in text.splitlines(keepends=True) for sentence in _sentences_of(line)
    ]
    return found if keep else [sentence.strip() for sentence in found if sentence.strip()]


def _sentences_of(line: str) -> list[str]:
    return list(sentencex.segment("en", line))


def _after_commas(text: str) -> list[str]:
    return re.split(r"(?<=[,;:—–])\s+", text)


# At the end of a sentence, else after a comma or similar, else between words.
_CUTS: tuple[Callable[[str], list[str]], ...] = (sentences, _after_commas, str.split)


def _split(text: str, max_chars: int, level: int) -> list[str]:
    if len(text) <= max_chars or level == len(_CUTS):
        return [text] if text else []
    pieces: list[str] = []
    for part in _CUTS[level](text):
        joined = f"{pieces[-1]} {part}" if pieces else part
        if pieces and len(joined) <= max_chars:
            pieces[-1] = joined
        else:
            pieces.extend(_split(part, max_chars, level + 1))
    return pieces
