"""Checks the text of each request, once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NewType

from causerie.server.errors import ApiError
from causerie.text.ssml import Script, check_no_dtd, is_ssml, read_ssml

#: A text that is not too long and, in strict mode, not empty.
CheckedText = NewType("CheckedText", str)


class TextChecker:
    """The rules for texts of one server.

    Args:
        max_chars: of all texts of a request together.
        is_strict: an empty text is an error; otherwise `SpeechService.speak` makes silence of it.
    """

    def __init__(self, max_chars: int, *, is_strict: bool = False) -> None:
        self.max_chars, self._is_strict = max_chars, is_strict

    def plain(self, text: str) -> CheckedText:
        """A text in one voice; SSML in it is read as in every text.

        Raises:
            ApiError: it is too long or, in strict mode, empty.
            TextError: it is SSML with a document type.
        """
        self.check_length(len(text))  # first, because all else takes time
        self._check_piece(text)
        return CheckedText(text)

    def plain_or_ssml(self, text: str, *, must_be_ssml: bool = False) -> CheckedText | Script:
        """A text, or an SSML document with its voices. The lines of a script are checked as well.

        Raises:
            ApiError: it is too long or, in strict mode, empty.
            TextError: it is not valid SSML.
        """
        self.check_length(len(text))
        if not must_be_ssml and not is_ssml(text):
            return self.plain(text)
        script = read_ssml(text)
        self.plain(" ".join(line.text for line in script.lines))  # `sub` may have made it longer
        return script

    def check_turns(self, texts: Sequence[str]) -> None:
        """Check the texts of a dialogue.

        Raises:
            ApiError: together they are too long or, in strict mode, one of them is empty.
            TextError: one of them is SSML with a document type.
        """
        self.check_length(sum(map(len, texts)))
        for text in texts:
            self._check_piece(text)

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

    def _check_piece(self, text: str) -> None:
        """Check a text whose length was checked."""
        check_no_dtd(text)
        if self._is_strict and not text.strip():
            raise ApiError(
                "the text is empty: there is nothing to speak", code="empty_input", param="input"
            )
