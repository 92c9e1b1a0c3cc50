"""Applies lists of rules, each a pattern and its reading, to a text in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property

#: A pattern, and the words in place of a match or a function that returns them.
Rule = tuple[str, str | Callable[[re.Match[str]], str]]


class Rules:
    """Rules that put words in place of what their patterns match.

    They are compiled when a text first needs them: compiling takes longer than reading a sentence.

    Args:
        rules: the most specific first. Each pattern matches a bounded length, so that time is
            linear in the length of the text.
        only_if: a pattern without which no rule matches.
        spaced: put a space on both sides of each reading.
    """

    def __init__(self, rules: Iterable[Rule], *, only_if: str, spaced: bool = True) -> None:
        self._rules, self._only_if, self._spaced = tuple(rules), re.compile(only_if), spaced

    def __call__(self, text: str) -> str:
        """The text after all rules; may contain extra spaces."""
        if self._only_if.search(text):
            for pattern, reading in self._compiled:
                text = pattern.sub(reading, text)
        return text

    @cached_property
    def _compiled(self) -> list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]]:
        return [
            (re.compile(pattern), _spaced(reading) if self._spaced else reading)
            for pattern, reading in self._rules
        ]


def _spaced(
    reading: str | Callable[[re.Match[str]], str],
) -> Callable[[re.Match[str]], str]:
    if isinstance(reading, str):
        return lambda _: f" {reading} "

    def spaced(match: re.Match[str]) -> str:
        words = reading(match)
        return words if words == match[0] else f" {words} "

    return spaced


def alternatives(words: Iterable[str]) -> str:
    """A pattern that matches any of the words, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))
