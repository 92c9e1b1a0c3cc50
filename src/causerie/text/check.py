"""What is no text at all."""

from __future__ import annotations

from causerie.errors import TextError


def check_text(text: str) -> None:
    """Raise TextError for what is no string, or holds halves of characters."""
    if not isinstance(text, str):
        raise TextError(f"text must be a string, not {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TextError(
            f"text holds half a character, {text[error.start]!a} at {error.start}: it was cut or "
            f"decoded wrongly, remove it"
        ) from error
