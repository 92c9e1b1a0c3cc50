"""Checks the text of each request, once, and is the only place that looks for SSML."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import NewType

from causerie.server.errors import ApiError
from causerie.text.growing import Flush
from causerie.text.ssml import HEAD_CHARS, Script, is_ssml, read_ssml

#: A text that is not empty, not too long, and not SSML.
CheckedText = NewType("CheckedText", str)


class TextChecker:
    """The rules for texts of one server.

    Args:
        max_chars: of all texts of a request together.
    """

    def __init__(self, max_chars: int) -> None:
        self.max_chars = max_chars

    def plain(self, text: str) -> CheckedText:
        """A text where SSML is not supported; its tags would be read aloud.

        Raises:
            ApiError: it is empty, too long, or SSML.
        """
        _check_not_empty(text)
        _refuse_ssml(text)
        self.check_length(len(text))
        return CheckedText(text)

    def plain_or_ssml(self, text: str, *, must_be_ssml: bool = False) -> CheckedText | Script:
        """A text where SSML is supported. The lines of a script are checked as well.

        Raises:
            ApiError: it is empty or too long.
            TextError: it is not valid SSML.
        """
        if not must_be_ssml and not is_ssml(text):
            _check_not_empty(text)
            self.check_length(len(text))
            return CheckedText(text)
        self.check_length(len(text))
        script = read_ssml(text)
        self.plain(" ".join(line.text for line in script.lines))  # `sub` may have made it longer
        for line in script.lines:
            _refuse_ssml(line.text)
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


async def growing(text: AsyncIterable[str | Flush]) -> AsyncIterator[str | Flush]:
    """The parts of a text that is still being written; raises ApiError if it begins as SSML."""
    head = ""
    async for part in text:
        if isinstance(part, str) and len(head) < HEAD_CHARS:
            head = (head + part).lstrip()[:HEAD_CHARS]
            _refuse_ssml(head)
        yield part


def _check_not_empty(text: str) -> None:
    if not text.strip():
        raise ApiError(
            "the text is empty: there is nothing to speak", code="empty_input", param="input"
        )


def _refuse_ssml(text: str) -> None:
    if is_ssml(text):
        raise ApiError(
            "only /v1/audio/speech supports SSML: send plain text",
            status=403,
            type="permission_error",
            code="ssml_not_supported",
            param="input",
        )
