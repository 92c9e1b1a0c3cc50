"""Joins the halves of characters: JSON may write an emoji as two surrogates."""

from __future__ import annotations


def well_formed(text: str) -> str:
    """A text with its surrogates joined, or replaced if unpaired."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class HalfJoiner:
    """Joins halves that come in different parts of a text; one that ends the text is dropped."""

    def __init__(self) -> None:
        self._half = ""

    def add(self, part: str) -> str:
        """The next part, without a first half at its end, which begins the part after it."""
        part, self._half = self._half + part, ""
        if "\ud800" <= part[-1:] <= "\udbff":
            part, self._half = part[:-1], part[-1]
        return well_formed(part)
