"""Reads the tags of sound files, as players show them."""

from __future__ import annotations

import io
from pathlib import Path

import av


def tags_of(file: bytes | Path) -> dict[str, str]:
    """The tags of a file, which Ogg has in its stream, by names in small letters."""
    with av.open(io.BytesIO(file) if isinstance(file, bytes) else str(file)) as container:
        tags = container.metadata | container.streams.audio[0].metadata
    return {key.lower(): value for key, value in tags.items()}
