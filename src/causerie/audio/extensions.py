"""The formats of sound files that can be written, without importing what writes them."""

from __future__ import annotations

import os
from pathlib import Path

from causerie.errors import AudioError

#: File formats that can be written, named as their extensions.
FORMATS = ("wav", "flac", "ogg", "mp3", "opus", "m4a")


def format_of(path: str | os.PathLike[str]) -> str:
    """The format of a file to write, by its extension.

    Raises:
        AudioError: no format has this extension; lists those that exist.
    """
    extension = Path(path).suffix.lower()
    if extension[1:] not in FORMATS:
        raise AudioError(
            f"cannot write {os.fspath(path)}: {extension or 'no'} extension; "
            f"use one of {', '.join(f'.{name}' for name in FORMATS)}"
        )
    return extension[1:]


def is_sound_file(path: str | os.PathLike[str]) -> bool:
    """Whether a path has the extension of one of the formats."""
    return Path(path).suffix.lower()[1:] in FORMATS
