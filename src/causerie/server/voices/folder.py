"""Files that several processes share, in a folder or, through fsspec, in an object store.

Writes are atomic, even if the process is killed or the power fails: a temporary file is written,
synced and renamed; an object store receives the file in one request. Every process sees the files
that others wrote. Knows nothing of voices.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from causerie.errors import CauserieError, ConfigError, StoreError
from causerie.extras import need

#: Seconds to wait for another process's lock.
LOCK_S = 30.0
#: Seconds for which `version` trusts the last listing of an object store.
LISTED_S = 2.0

_UNFINISHED = ".part"
#: Errors that mean that a name leads to no file.
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class UnusableFileError(StoreError):
    """One file cannot be read, whatever the disk and the network do."""


class Version(NamedTuple):
    """Identifies the contents of a file: changes when they change."""

    size: int
    stamp: str


class Folder(Protocol):
    """The interface of both storage classes. Names have the form "kind/file".

    All methods raise StoreError if the disk or the network fails.
    """

    def read(self, name: str, size: int | None = None) -> bytes:
        """The contents of a file, or its first `size` bytes.

        Raises:
            FileNotFoundError: there is no such file.
            UnusableFileError: it is not a regular file, or belongs to somebody else.
        """

    def write(self, name: str, contents: bytes) -> None:
        """Create or replace a file atomically."""

    def remove(self, name: str) -> bool:
        """Remove a file; return whether it existed."""

    def versions(self, kind: str) -> dict[str, Version]:
        """The current version of each file of a kind, by name."""

    def version(self, name: str) -> Version | None:
        """The version of one file, fast; None if it does not exist."""

    def locked(self) -> AbstractContextManager[None]:
        """Keep other writers out, where the storage supports locks."""


def open_folder(where: str | os.PathLike[str]) -> Folder:
    """Open a folder, creating it if needed, or an fsspec URL such as ``s3://bucket/voices``.

    Raises:
        ConfigError: it cannot be opened, or a package for it is missing.
    """
    url = os.fspath(where)
    if url.startswith("file://"):
        url = url.removeprefix("file://")
    elif "://" in url:
        return ObjectFolder(url)
    try:
        return LocalFolder(Path(url).expanduser())
    except StoreError as error:
        raise ConfigError(str(error)) from error


class LocalFolder:
    """A folder on a local disk or a network share.

    Args:
        root: the folder; temporary files of killed processes in it are removed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._filelock = need("filelock", "server")
        with _store_errors(f"the folder of voices {root} cannot be used"):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock: Any = self._filelock.FileLock(root / ".lock", timeout=LOCK_S)
        with self.locked(), _store_errors(f"the folder of voices {root} cannot be cleaned up"):
            for path in root.glob(f"*/.*{_UNFINISHED}"):
                if path.is_file():
                    path.unlink(missing_ok=True)  # no writer is active: writers hold the lock

    def read(self, name: str, size: int | None = None) -> bytes:
        """See `Folder`."""
        path = self.root / name
        with _store_errors("a file of the voices cannot be read"):
            if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would wait for ever
                raise UnusableFileError("it is not a regular file")
            try:
                with path.open("rb") as file:
                    return file.read(-1 if size is None else size)
            except PermissionError as error:
                raise UnusableFileError("this user may not read it") from error

    def write(self, name: str, contents: bytes) -> None:
        """See `Folder`."""
        path = self.root / name
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_UNFINISHED}")
        with self.locked(), _store_errors("a file of the voices cannot be written"):
            if not path.parent.is_dir():
                path.parent.mkdir()
                _sync(self.root)
            try:
                with open(part, "xb") as file:
                    file.write(contents)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(part, path)
            except OSError:
                part.unlink(missing_ok=True)
                raise
            _sync(path.parent)

    def remove(self, name: str) -> bool:
        """See `Folder`."""
        path = self.root / name
        with self.locked(), _store_errors("a file of the voices cannot be removed"):
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            _sync(path.parent)
            return True

    def versions(self, kind: str) -> dict[str, Version]:
        """See `Folder`."""
        found = {}
        with _store_errors("the folder of voices cannot be listed"):
            try:
                entries = list(os.scandir(self.root / kind))
            except FileNotFoundError:
                return {}
            for entry in entries:
                if not entry.name.startswith(".") and (version := _version(Path(entry.path))):
                    found[f"{kind}/{entry.name}"] = version
        return found

    def version(self, name: str) -> Version | None:
        """See `Folder`."""
        with _store_errors("the folder of voices cannot be listed"):
            return _version(self.root / name)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """See `Folder`; reentrant within a thread."""
        with _store_errors("the folder of voices cannot be locked"):
            try:
                self._lock.acquire()
            except self._filelock.Timeout as error:
                raise StoreError(
                    f"the folder of voices has been locked by another process for {LOCK_S:g} s"
                ) from error
        try:
            yield
        finally:
            self._lock.release()


class ObjectFolder:
    """Objects under an fsspec URL. A put is atomic; the lock works within this process only."""

    def __init__(self, url: str) -> None:
        fsspec = need("fsspec", "ray")
        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise ConfigError(f"voices at {url} cannot be opened: {error}") from error
        self._lock = threading.RLock()
        self._listed: dict[str, tuple[float, dict[str, Version]]] = {}
        self.versions("voices")  # fail now if the address cannot be reached

    def read(self, name: str, size: int | None = None) -> bytes:
        """See `Folder`."""
        with _all_store_errors("a file of the voices cannot be read"):
            known = self._listed.get(name.partition("/")[0], (0.0, {}))[1].get(name)
            if known is not None and known.size == 0:
                size = None  # S3 answers a range of an empty object with an error
            out: bytes = self._files.cat_file(self._path(name), end=size)
            return out

    def write(self, name: str, contents: bytes) -> None:
        """See `Folder`."""
        with self._lock, _all_store_errors("a file of the voices cannot be written"):
            try:
                self._files.pipe_file(self._path(name), contents)
            except FileNotFoundError as error:
                bucket = self._root.partition("/")[0]
                raise StoreError(f"there is no bucket {bucket!r} for the voices") from error
            self._listed.pop(name.partition("/")[0], None)

    def remove(self, name: str) -> bool:
        """See `Folder`."""
        if name not in self.versions(name.partition("/")[0]):
            return False  # S3 does not report whether a removed object existed
        with self._lock, _all_store_errors("a file of the voices cannot be removed"):
            self._listed.pop(name.partition("/")[0], None)
            try:
                self._files.rm_file(self._path(name))
            except FileNotFoundError:
                return False
            return True

    def versions(self, kind: str) -> dict[str, Version]:
        """See `Folder`."""
        path = self._path(kind)
        with _all_store_errors("the voices cannot be listed"):
            self._files.invalidate_cache(path)
            try:
                entries = self._files.ls(path, detail=True)
            except FileNotFoundError:
                entries = []
        found = {
            f"{kind}/{entry['name'].rpartition('/')[2]}": Version(entry["size"], _stamp(entry))
            for entry in entries
            if entry["type"] == "file"
        }
        self._listed[kind] = (time.monotonic(), found)
        return found

    def version(self, name: str) -> Version | None:
        """See `Folder`; up to `LISTED_S` old."""
        kind = name.partition("/")[0]
        at, found = self._listed.get(kind, (0.0, {}))
        if name not in found or time.monotonic() - at > LISTED_S:
            found = self.versions(kind)
        return found.get(name)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """See `Folder`."""
        with self._lock:
            yield

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


def _version(path: Path) -> Version | None:
    try:
        found = path.stat()
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise
    return Version(found.st_size, f"{found.st_mtime_ns}-{found.st_ino}")


def _stamp(entry: dict[str, Any]) -> str:
    """The version that an object store reports, under any key that fsspec's file systems use."""
    for key in ("ETag", "etag", "LastModified", "last_modified", "updated", "mtime", "created"):
        if entry.get(key) is not None:
            return str(entry[key])
    return ""


def _sync(folder: Path) -> None:
    """Bring renames and removals in a folder to the disk."""
    if os.name == "nt":  # Windows cannot sync a folder, and does not need to
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def _store_errors(what: str) -> Iterator[None]:
    """Raise OSErrors as StoreErrors, without paths; FileNotFoundError passes through."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(f"{what}: {error.strerror or error}") from error


@contextmanager
def _all_store_errors(what: str) -> Iterator[None]:
    """`_store_errors` for object stores, whose libraries raise their own exceptions."""
    try:
        with _store_errors(what):
            yield
    except (FileNotFoundError, CauserieError):
        raise
    except Exception as error:
        raise StoreError(f"{what}: {error}") from error
