"""The stems and endings of regular English inflections."""

from __future__ import annotations

from collections.abc import Iterator


def ending(stem: str, suffix: str) -> str:
    """The phonemes of a suffix ("s", "ed", "'d" …) after those of a stem."""
    last = stem[-1]
    if suffix == "'d":  # there'd
        return "əd" if last in "td" else "d"
    if suffix in ("ed", "d"):
        return "ᵻd" if last in "td" else "t" if last in "pkfθʃsʧ" else "d"
    if suffix == "s":
        return "ᵻz" if last in "szʃʒʧʤ" else "s" if last in "ptkfθ" else "z"
    return {"ing": "ɪŋ", "ll": "ᵊl", "re": "əɹ", "ve": "ᵊv"}.get(suffix, "")


def stems(word: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each possible suffix of a word with its possible stems, the most likely first."""
    if word.endswith("'s"):
        yield "s", (word[:-2],)
    elif word.endswith(("'ve", "'ll", "'re")):
        yield word[-2:], (word[:-3],)
    elif word.endswith("'d"):
        yield "'d", (word[:-2],)
    elif word.endswith("ies"):
        yield "s", (word[:-1], word[:-3] + "y")
    elif word.endswith("s") and not word.endswith("ss"):
        yield "s", (word[:-1], word[:-2]) if word.endswith("es") else (word[:-1],)
    elif word.endswith("ied"):
        yield "ed", (word[:-3] + "y", word[:-1], word[:-2])
    elif word.endswith("ed"):
        yield "ed", (word[:-2], word[:-1], *_undoubled(word[:-2]))
    elif word.endswith("ing"):
        yield "ing", (word[:-3], word[:-3] + "e", *_undoubled(word[:-3]))


def _undoubled(stem: str) -> tuple[str, ...]:
    return (stem[:-1],) if len(stem) > 2 and stem[-1] == stem[-2] else ()
