"""Whose watermark it is: a key, and the number of a deployment. Keys in files. Knows no sound."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from causerie.errors import WatermarkError

KEY_BYTES = 32
#: The key of all speech that nobody gave another key: everybody can find its mark, and remove it.
PUBLIC_KEY = b"causerie's public watermark key."
#: Names the file of the key that replaces it.
KEY_VARIABLE = "CAUSERIE_WATERMARK_KEY"
MAX_PAYLOAD = 2**16 - 1


@dataclass(frozen=True, kw_only=True)
class Watermark:
    """Whose watermark speech carries.

    Attributes:
        key: 32 bytes; who has them can find the mark, and remove it.
        payload: a number from 0 to 65535 that is found with the mark, such as that of a deployment.
            0 is found in the shortest and poorest sound.

    Raises:
        WatermarkError: the key has another length, or the payload is out of range.
    """

    key: bytes = field(default=PUBLIC_KEY, repr=False)
    payload: int = 0

    def __post_init__(self) -> None:
        check_key(self.key)
        number = self.payload
        if not isinstance(number, int) or isinstance(number, bool):
            raise WatermarkError(f"a watermark's payload is a whole number, not {number!r}")
        if not 0 <= number <= MAX_PAYLOAD:
            raise WatermarkError(f"a watermark's payload is 0 to {MAX_PAYLOAD}, not {number}")

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, payload: int = 0) -> Watermark:
        """The watermark with the key in a file of `causerie watermark new-key`.

        Raises:
            WatermarkError: the file cannot be read, or the payload is out of range.
        """
        return cls(key=read_key(path), payload=payload)

    @property
    def is_public(self) -> bool:
        """Whether everybody has its key."""
        return self.key == PUBLIC_KEY


def check_key(key: bytes) -> None:
    """Raise WatermarkError if this is no key."""
    if not isinstance(key, bytes) or len(key) != KEY_BYTES:
        got = f"{len(key)} bytes" if isinstance(key, bytes) else type(key).__name__
        raise WatermarkError(
            f"a watermark's key has {KEY_BYTES} bytes, not {got}: "
            "`causerie watermark new-key` makes one"
        )


def usual_key() -> bytes:
    """The key in the file that `CAUSERIE_WATERMARK_KEY` names; without it, the public one.

    Raises:
        WatermarkError: the file cannot be read.
    """
    path = os.environ.get(KEY_VARIABLE)
    return read_key(path) if path else PUBLIC_KEY


def new_key() -> bytes:
    """A random key."""
    return secrets.token_bytes(KEY_BYTES)


def read_key(path: str | os.PathLike[str]) -> bytes:
    """The key in a file: 64 hexadecimal digits.

    Raises:
        WatermarkError: the file cannot be read, or holds something else.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            digits = file.read(1000).strip()
    except OSError as error:
        raise WatermarkError(f"key file {name} cannot be read: {error.strerror}") from error
    try:
        key = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise WatermarkError(
            f"key file {name} must hold {2 * KEY_BYTES} hexadecimal digits: "
            f"`causerie watermark new-key FILE` makes one"
        )
    return key


def write_key(path: str | os.PathLike[str], key: bytes) -> Path:
    """Write a key to a new file that only its owner can read; returns its path.

    Raises:
        WatermarkError: the file exists, as it may be in use, or cannot be written.
    """
    name = os.fspath(path)
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise WatermarkError(
            f"{name} exists: sound that is marked with its key needs it; give another name"
        ) from error
    except OSError as error:
        raise WatermarkError(f"cannot write {name}: {error.strerror}") from error
    with open(number, "w", encoding="ascii") as file:
        file.write(key.hex() + "\n")
    return Path(path)
