"""Writes a file completely or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_bytes(path: str | os.PathLike[str], contents: bytes) -> Path:
    """Write a file beside its final name, then rename it; returns the path.

    A full disk or an interruption leaves no part of the file, and an older file stays as it was.
    What is not a regular file, such as /dev/stdout, is written directly.

    Raises:
        OSError: the file cannot be written.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        path.write_bytes(contents)
        return path
    target = Path(os.path.realpath(path))  # a link stays a link
    partial = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        partial.write_bytes(contents)
        os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return path
