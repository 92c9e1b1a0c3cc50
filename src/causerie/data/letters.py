"""Reduces texts to letters, to count them and to compare transcripts with recognized texts."""

from __future__ import annotations

from causerie.audio.recording import Fault, other_words
from causerie.extras import need
from causerie.text.front_end import in_words

#: Share of the letters that the recognizer may hear differently.
MAX_CER = 0.3


def letters(text: str) -> str:
    """The letters and digits of a text, in lower case."""
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def spoken_letters(text: str, language: str) -> str:
    """The letters of a text as spoken: English numbers and abbreviations as words."""
    return letters(in_words(text) if language == "en" else text)


def character_error_rate(text: str, recognized: str, language: str) -> float:
    """Edits from `recognized` to `text`, as a share of the letters of `text`.

    Spaces, case and punctuation do not count.
    """
    wanted, found = spoken_letters(text, language), spoken_letters(recognized, language)
    distance = need("rapidfuzz.distance", "data").Levenshtein.distance(wanted, found)
    return float(distance) / max(1, len(wanted))


def transcript_fault(text: str, recognized: str, language: str) -> Fault | None:
    """The fault of a recording that says other words than its transcript."""
    if character_error_rate(text, recognized, language) <= MAX_CER:
        return None
    return other_words(recognized)
