"""Marks words that have a pronunciation of their own, and tags such as [laughs], within a text.

A mark is written in private characters, so that it is one word for all rules and none changes it.
Does not know models.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_SHIFT = 0xF0000  # a plane of 65,536 private characters: one for each UTF-16 code unit
_WORD, _TAG, _SEPARATOR, _END = (chr(0x100000 + number) for number in range(4))
_PRIVATE = "[\U000f0000-\U0010ffff]"
_UNITS = "[\U000f0000-\U000fffff]*"
#: The pattern of a mark.
PATTERN = f"[{_WORD}{_TAG}]{_UNITS}{_SEPARATOR}{_UNITS}{_END}"
_MARK = re.compile(PATTERN)
_ANY_PRIVATE = re.compile(_PRIVATE)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A word with phonemes, or a tag.

    Attributes:
        written: as in the text.
        phonemes: empty for a tag.
    """

    written: str
    phonemes: str = ""
    is_tag: bool = False

    def __str__(self) -> str:
        kind = _TAG if self.is_tag else _WORD
        return f"{kind}{_hidden(self.written)}{_SEPARATOR}{_hidden(self.phonemes)}{_END}"


def parse(text: str) -> Mark:
    """The mark that a match of `PATTERN` is."""
    written, phonemes = text[1:-1].split(_SEPARATOR)
    return Mark(written=_shown(written), phonemes=_shown(phonemes), is_tag=text[0] == _TAG)


def is_mark(text: str) -> bool:
    """Whether a word is a mark, perhaps with a suffix after it."""
    return text[0] in (_WORD, _TAG)


def is_part(char: str) -> bool:
    """Whether a character belongs to a mark."""
    return _ANY_PRIVATE.match(char) is not None


def replace(text: str, reading: Callable[[Mark], str]) -> str:
    """The text with another text in place of each mark."""
    return _MARK.sub(lambda match: reading(parse(match[0])), text)


def without_private(text: str) -> str:
    """A user's text, in which private characters cannot be read."""
    return _ANY_PRIVATE.sub("\ufffd", text)


def _hidden(text: str) -> str:
    units = text.encode("utf-16-le", "surrogatepass")
    return "".join(
        chr(_SHIFT + int.from_bytes(units[at : at + 2], "little")) for at in range(0, len(units), 2)
    )


def _shown(text: str) -> str:
    units = b"".join((ord(char) - _SHIFT).to_bytes(2, "little") for char in text)
    return units.decode("utf-16-le", "surrogatepass")
