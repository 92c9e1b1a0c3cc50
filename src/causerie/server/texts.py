"""Checks the text of each request, once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NewType

from causerie.server.errors import ApiError
from causerie.text.ssml import Script, is_ssml, read_ssml

#: A text that is neither empty nor too long.
CheckedText = NewType("CheckedText", str)


class TextChecker:
    """The rules for texts of one server.

    Args:
        max_chars: of all texts of a request together.
    """

    def __init__(self, max_chars: int) -> None:
        self.max_chars = max_chars

    def plain(self, text: str) -> CheckedText:
        """A text in one voice; SSML in it is read as in every text.

        Raises:
            ApiError: it is empty or too long.
        """
        self.check_length(len(text))  # first, because all else takes time
        _check_not_empty(text)
        return CheckedText(text)

    def plain_or_ssml(self, text: str, *, must_be_ssml: bool = False) -> CheckedText | Script:
        """A text, or an SSML document with its voices. The lines of a script are checked as well.

        Raises:
            ApiError: it is empty or too long.
            TextError: it is not valid SSML.
        """
        self.check_length(len(text))
        if not must_be_ssml and not is_ssml(text):
            return self.plain(text)
        script = read_ssml(text)
        self.plain(" ".join(line.text for line in script.lines))  # `sub` may have made it longer
        return script

    def joined(self, texts: Iterable[CheckedText]) -> CheckedText:
        """Several texts as one.

        Raises:
            ApiError: together they are too long.
        """
        text = " ".join(texts)
        self.check_length(len(text))
        return CheckedText(text)

    def check_length(self, num_chars: int) -> None:
        """Raise ApiError if a request has too many characters."""
        if num_chars > self.max_chars:
            raise ApiError(
                f"the text has {num_chars:,} characters, the limit is {self.max_chars:,}: send it "
                f"in parts",
                code="string_above_max_length",
                param="input",
            )


def _check_not_empty(text: str) -> None:
    if not text.strip():
        raise ApiError(
            "the text is empty: there is nothing to speak", code="empty_input", param="input"
        )
