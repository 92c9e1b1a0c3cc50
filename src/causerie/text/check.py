"""Checks that a text is a valid string."""

from __future__ import annotations

from causerie.errors import TextError


def check_text(text: object) -> str:
    """The text, if it is a string without lone surrogates.

    Raises:
        TextError: it is not.
    """
    if not isinstance(text, str):
        raise TextError(f"text must be a string, not {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TextError(
            f"text holds half a character, {text[error.start]!a} at {error.start}: it was cut or "
            f"decoded wrongly, remove it"
        ) from error
    return text
