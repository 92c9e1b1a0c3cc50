"""Checks that a text is a valid string."""

from __future__ import annotations

from causerie.errors import TextError


def check_text(text: object, max_chars: int | None = None) -> str:
    """The text, if it is a string without lone surrogates.

    Args:
        max_chars: the longest text; None allows any length.

    Raises:
        TextError: it is not, or it is too long.
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
    if max_chars is not None and len(text) > max_chars:
        raise TextError(
            f"text has {len(text):,} characters, at most {max_chars:,} are spoken at once: "
            f"give it in parts"
        )
    return text
