"""Names of what a session has."""

from __future__ import annotations

import secrets


def new_id(kind: str) -> str:
    """A new id."""
    return f"{kind}_{secrets.token_hex(12)}"
