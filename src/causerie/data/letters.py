"""Texts as letters alone, to count them and to compare what was written with what was heard."""

from __future__ import annotations

from causerie.extras import need
from causerie.text.normalize import normalize


def letters(text: str) -> str:
    """Letters and digits of a text, in one case."""
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def spoken_letters(text: str, language: str) -> str:
    """Letters as they are spoken: English numbers and abbreviations as words."""
    return letters(normalize(text) if language == "en" else text)


def character_error_rate(text: str, heard: str, language: str) -> float:
    """Letters to change in `heard` to have `text`, as a share of the latter's.

    Spaces, case and punctuation do not count.
    """
    wanted, found = spoken_letters(text, language), spoken_letters(heard, language)
    distance = need("rapidfuzz.distance", "data").Levenshtein.distance(wanted, found)
    return float(distance) / max(1, len(wanted))
