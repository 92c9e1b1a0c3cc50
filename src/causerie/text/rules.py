"""Applies lists of rules, each a pattern and its reading, to a text in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

#: A pattern, and the words in place of a match or a function that returns them.
Rule = tuple[str, str | Callable[[re.Match[str]], str]]


class Rules:
    """Rules that put words in place of what their patterns match.

    Args:
        rules: the most specific first. Each pattern matches a bounded length, so that time is
            linear in the length of the text.
        spaced: put a space on both sides of each reading.
    """

    def __init__(self, rules: Iterable[Rule], *, spaced: bool = True) -> None:
        self._rules = [
            (re.compile(pattern), _spaced(reading) if spaced else reading)
            for pattern, reading in rules
        ]

    def __call__(self, text: str) -> str:
        """The text after all rules; may contain extra spaces."""
        for pattern, reading in self._rules:
            text = pattern.sub(reading, text)
        return text


def _spaced(
    reading: str | Callable[[re.Match[str]], str],
) -> Callable[[re.Match[str]], str]:
    if isinstance(reading, str):
        return lambda _: f" {reading} "
    return lambda match: f" {reading(match)} "


def alternatives(words: Iterable[str]) -> str:
    """A pattern that matches any of the words, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))
