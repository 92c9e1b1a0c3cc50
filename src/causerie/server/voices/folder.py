"""Whole files that several processes share: in a folder, or in an object store by fsspec.

A file comes into being at once or not at all, even where the process is killed or the power fails:
it is written beside, brought to the disk, and renamed; an object store puts it in one request. Any
process sees what another wrote. Knows nothing of voices.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from causerie.errors import CauserieError, ConfigError, StoreError
from causerie.extras import need

#: A process that writes is waited for so long.
LOCK_S = 30.0
#: What an object store listed counts for so long where somebody asks whether a file still is there.
LISTED_S = 2.0

_UNFINISHED = ".part"


class Version(NamedTuple):
    """Another whenever a file's contents are."""

    size: int
    stamp: str


class Folder(Protocol):
    """What both kinds can do. Names have the form "kind/file".

    All raise StoreError where the disk or the network fails.
    """

    def read(self, name: str, size: int | None = None) -> bytes:
        """A file's contents, or its first bytes.

        Raises:
            FileNotFoundError: there is none.
        """

    def write(self, name: str, contents: bytes) -> None:
        """Make or replace a file, whole."""

    def remove(self, name: str) -> bool:
        """Remove a file; whether there was one."""

    def versions(self, kind: str) -> dict[str, Version]:
        """Names of all files of a kind, as they are now."""

    def version(self, name: str) -> Version | None:
        """That of one file, quickly; None where it is gone."""

    def locked(self) -> AbstractContextManager[None]:
        """Hold off all others that write, where that can be done."""


def open_folder(where: str | os.PathLike[str]) -> Folder:
    """A folder, made where it is missing, or an fsspec URL such as ``s3://bucket/voices``.

    Raises:
        ConfigError: it cannot be, or a package for it is missing.
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
    """A folder on a disk, which may be shared by network.

    Args:
        root: where; leftovers of killed processes in it are swept.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._filelock = need("filelock", "server")
        with _told(f"the folder of voices {root} cannot be used"):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock: Any = self._filelock.FileLock(root / ".lock", timeout=LOCK_S)
        with self.locked(), _told(f"the folder of voices {root} cannot be swept"):
            for path in root.glob(f"*/.*{_UNFINISHED}"):
                path.unlink(missing_ok=True)  # whoever writes holds the lock: nobody does

    def read(self, name: str, size: int | None = None) -> bytes:
        """See `Folder`."""
        with _told("a file of the voices cannot be read"), open(self.root / name, "rb") as file:
            return file.read(-1 if size is None else size)

    def write(self, name: str, contents: bytes) -> None:
        """See `Folder`."""
        path = self.root / name
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_UNFINISHED}")
        with self.locked(), _told("a file of the voices cannot be written"):
            if not path.parent.is_dir():
                path.parent.mkdir()
                _to_disk(self.root)
            try:
                with open(beside, "xb") as file:
                    file.write(contents)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(beside, path)
            except OSError:
                beside.unlink(missing_ok=True)
                raise
            _to_disk(path.parent)

    def remove(self, name: str) -> bool:
        """See `Folder`."""
        path = self.root / name
        with self.locked(), _told("a file of the voices cannot be removed"):
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            _to_disk(path.parent)
            return True

    def versions(self, kind: str) -> dict[str, Version]:
        """See `Folder`."""
        found = {}
        with _told("the folder of voices cannot be listed"):
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
        with _told("the folder of voices cannot be listed"):
            return _version(self.root / name)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """See `Folder`; a thread may lock again what it has locked."""
        with _told("the folder of voices cannot be locked"):
            try:
                self._lock.acquire()
            except self._filelock.Timeout as error:
                raise StoreError(
                    f"the folder of voices is locked by another process for more than {LOCK_S:g} s"
                ) from error
        try:
            yield
        finally:
            self._lock.release()


class ObjectFolder:
    """Objects under an fsspec URL. A put is whole by itself; a lock holds in this process only."""

    def __init__(self, url: str) -> None:
        fsspec = need("fsspec", "ray")
        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise ConfigError(f"voices at {url} cannot be opened: {error}") from error
        self._lock = threading.RLock()
        self._listed: dict[str, tuple[float, dict[str, Version]]] = {}
        self.versions("voices")  # an address that cannot be reached is told now

    def read(self, name: str, size: int | None = None) -> bytes:
        """See `Folder`."""
        with _all_told("a file of the voices cannot be read"):
            known = self._listed.get(name.partition("/")[0], (0.0, {}))[1].get(name)
            if known is not None and known.size == 0:
                size = None  # S3 has no first bytes of what is empty, but an error
            out: bytes = self._files.cat_file(self._path(name), end=size)
            return out

    def write(self, name: str, contents: bytes) -> None:
        """See `Folder`."""
        with self._lock, _all_told("a file of the voices cannot be written"):
            try:
                self._files.pipe_file(self._path(name), contents)
            except FileNotFoundError as error:
                bucket = self._root.partition("/")[0]
                raise StoreError(f"there is no bucket {bucket!r} for the voices") from error
            self._listed.pop(name.partition("/")[0], None)

    def remove(self, name: str) -> bool:
        """See `Folder`."""
        if name not in self.versions(name.partition("/")[0]):
            return False  # S3 removes what is not there, and says nothing
        with self._lock, _all_told("a file of the voices cannot be removed"):
            self._listed.pop(name.partition("/")[0], None)
            try:
                self._files.rm_file(self._path(name))
            except FileNotFoundError:
                return False
            return True

    def versions(self, kind: str) -> dict[str, Version]:
        """See `Folder`."""
        path = self._path(kind)
        with _all_told("the voices cannot be listed"):
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
        """See `Folder`; up to 2 s old."""
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
        stat = path.stat()
    except FileNotFoundError:
        return None
    return Version(stat.st_size, f"{stat.st_mtime_ns}-{stat.st_ino}")


def _stamp(entry: dict[str, Any]) -> str:
    """What an object store says of a version, by the names that fsspec's file systems use."""
    for key in ("ETag", "etag", "LastModified", "last_modified", "updated", "mtime", "created"):
        if entry.get(key) is not None:
            return str(entry[key])
    return ""


def _to_disk(folder: Path) -> None:
    """Make what was renamed in a folder, or removed, last."""
    if os.name == "nt":  # which has no such call, and does it by itself
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Errors of the system as ours, without paths; that there is no such file stays as it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(f"{what}: {error.strerror or error}") from error


@contextmanager
def _all_told(what: str) -> Iterator[None]:
    """`_told` for object stores, each of whose libraries has errors of its own."""
    try:
        with _told(what):
            yield
    except (FileNotFoundError, CauserieError):
        raise
    except Exception as error:
        raise StoreError(f"{what}: {error}") from error
