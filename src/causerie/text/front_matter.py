"""Finds the front matter of a document: the fields between `---` (YAML) or `+++` (TOML) before it.

A text may begin with a ruler of dashes too, so each line must look like a field, and the first
one like a field that files have: a small letter first, or a usual name. Does not know blocks.
"""

from __future__ import annotations

import re

#: Of a text that is still written: longer front matter is read.
MAX_CHARS = 10_000

_FIRST = r"(?:[a-z][\w-]*|Title|Subtitle|Author|Date|Tags|Lang|Language)"
_BEGINS = re.compile(
    rf" ?(?:---[ \t]*\n(?={_FIRST}:(?:\s|\Z))"
    r"|\+\+\+[ \t]*\n(?=\[*[a-z][\w.-]*\]*[ \t]*[=\n]))"
)
_MAY_BEGIN = re.compile(r" ?(?:-{0,3}|\+{0,3}|(?:---|\+\+\+)[ \t]*(?:\n\S*[ \t]*)?)")
_LINE = {
    "-": r"(?:[ \t].*|#.*|- .*|[A-Za-z][\w.-]*:(?:[ \t].*)?|[\]}].*)?\n",
    "+": r"(?:[ \t].*|#.*|\[.*|[A-Za-z][\w.-]*[ \t]*=.*|[\]}].*)?\n",
}
_LINES = {mark: re.compile(f"(?:{line})*") for mark, line in _LINE.items()}
_END = {"-": re.compile(r"(?:---|\.\.\.)[ \t]*(\n|\Z)"), "+": re.compile(r"\+\+\+[ \t]*(\n|\Z)")}


class FrontMatter:
    """Finds the end of the front matter of a text as it grows."""

    def __init__(self) -> None:
        self._mark = ""  # of the fence, once a field follows it
        self._at = 0  # lines before this index are fields

    def end(self, text: str, limit: int, *, is_whole: bool) -> int | None:
        """The index after the front matter of a text; 0 if it has none.

        Args:
            text: as before, or longer.
            limit: the end of its visible part.
            is_whole: nothing is to come after that.

        Returns:
            None if the characters after it decide.
        """
        undecided = None if not is_whole and limit <= MAX_CHARS else 0
        if not self._mark:
            begins = _BEGINS.match(text, 0, limit)
            if begins is None:
                return undecided if _MAY_BEGIN.fullmatch(text, 0, limit) else 0
            self._mark, self._at = begins[0].lstrip()[0], begins.end()
        if not is_whole and text.find("\n", self._at, limit) < 0:
            return undecided  # the latest line is not complete
        lines = _LINES[self._mark].match(text, self._at, limit)
        assert lines is not None
        self._at = lines.end()
        end = _END[self._mark].match(text, self._at, limit)
        if end is not None and (end[1] or is_whole):
            return end.end()
        return 0 if text.find("\n", self._at, limit) >= 0 else undecided


def front_matter_end(text: str) -> int:
    """The index after the front matter of a whole text; 0 if it has none."""
    return FrontMatter().end(text, len(text), is_whole=True) or 0
