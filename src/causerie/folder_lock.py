"""A lock on an output folder, so that two runs never write into it at once.

The operating system releases the lock when the process ends, even if it is killed. The lock file
stays in the folder; a file without a held lock means nothing.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from causerie.errors import ConfigError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK_FILE = ".lock"
#: Errors that mean "another process holds the lock".
_HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock a folder, which is created if missing, while the context lasts.

    Raises:
        ConfigError: another run holds the lock, or the folder cannot be locked.
    """
    path = folder / LOCK_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise ConfigError(f"cannot write into {folder}: {error.strerror}") from error
    with file:
        try:
            _lock(file)
        except OSError as error:
            if error.errno not in _HELD:
                raise ConfigError(f"cannot lock {path}: {error.strerror}") from error
            raise ConfigError(
                f"{folder} is in use by {_owner(file)}: wait until that run ends, or choose "
                "another folder"
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def holds_only_lock(folder: Path) -> bool:
    """Whether a folder has no files apart from the lock file."""
    return all(path.name == LOCK_FILE for path in folder.iterdir())


def _owner(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode() or "another process"


if sys.platform == "win32":

    def _lock(file: BinaryIO) -> None:
        file.seek(1 << 20)  # a locked byte cannot be read, so lock one behind the text
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
