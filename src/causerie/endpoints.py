"""OpenAI-compatible endpoints of other programs: their addresses, and their errors in one line."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from causerie.errors import ConfigError

#: Seconds to connect, and between two parts of an answer.
CONNECT_S, READ_S = 10.0, 60.0


def is_url(name: str) -> bool:
    """Whether a name is the address of an endpoint, and not of a file or a model."""
    return name.startswith(("http://", "https://"))


def address(url: str, path: str) -> str:
    """The address of an endpoint.

    Args:
        url: with or without /v1 and the path.
        path: such as "chat/completions".

    Raises:
        ConfigError: it is no address of http.
    """
    try:
        parts = urlsplit(url)
        is_valid = is_url(url) and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ConfigError(f"{url!r} is no address such as http://127.0.0.1:11434")
    base = url.rstrip("/").removesuffix("/" + path).removesuffix("/v1")
    return f"{base}/v1/{path}"


def headers(key: str | None) -> dict[str, str]:
    """The headers that send a key, if there is one."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def error_of(response: Any) -> str:
    """The status and the message of a response of httpx that is an error."""
    try:
        error = response.json()["error"]
        message = error["message"] if isinstance(error, dict) else str(error)
    except (ValueError, KeyError, TypeError):
        message = response.text[:300]
    return f"{response.status_code}: {message}"
