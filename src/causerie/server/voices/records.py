"""Stores records, each in one safetensors file: tensors, a JSON object of facts, and a digest.

All processes that share a folder see the same records: listing reads the folder again, and so does
a lookup that finds nothing. Damaged files are logged once and skipped, never deleted. Knows nothing
of the meaning of the facts.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from causerie.server.voices.folder import Folder, UnusableFileError, Version

log = logging.getLogger("causerie.server")

#: Bytes to read for the facts; a longer header, from a very long text, needs a second read.
HEAD_BYTES = 65_536
_SUFFIX = ".safetensors"
_FACTS, _DIGEST = "facts", "digest"

#: Makes the contents of a file from its metadata, see `Records.write`.
Pack = Callable[[Mapping[str, str]], bytes]


class DamagedError(Exception):
    """A file is not as it was written."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """The id and facts of one record.

    Attributes:
        id: increases with time.
        version: of the file.
    """

    id: str
    facts: dict[str, Any]
    version: Version


class Records:
    """The records of one kind.

    Args:
        kind: subfolder that holds their files.
        prefix: start of their ids, such as "voice_".
        required: names and types of the facts.
    """

    def __init__(
        self, folder: Folder, kind: str, prefix: str, required: Mapping[str, type]
    ) -> None:
        self.folder, self.kind, self.prefix = folder, kind, prefix
        self._required = required
        self._lock = threading.Lock()
        self._known: dict[str, Record] = {}
        self._damaged: dict[str, tuple[Version, str]] = {}
        self._id = re.compile(re.escape(prefix) + "[0-9a-f]{24}")
        self.refresh()

    @property
    def problems(self) -> list[str]:
        """One line for each damaged file."""
        with self._lock:
            return [f"{name}: {reason}" for name, (_, reason) in sorted(self._damaged.items())]

    def new_id(self) -> str:
        """An id that sorts after all earlier ones."""
        return f"{self.prefix}{time.time_ns():016x}{secrets.token_hex(4)}"

    def is_id(self, text: str) -> bool:
        """Whether the text has the form of an id."""
        return self._id.fullmatch(text) is not None

    def all(self) -> list[Record]:
        """All current records, newest first."""
        self.refresh()
        with self._lock:
            return sorted(self._known.values(), key=lambda record: record.id, reverse=True)

    def find(self, matches: Callable[[Record], bool]) -> Record | None:
        """The oldest matching record whose file still exists; refreshes before it gives up."""
        for is_refreshed in (False, True):
            if is_refreshed:
                self.refresh()
            with self._lock:
                found = [record for record in self._known.values() if matches(record)]
            record = min(found, key=lambda record: record.id, default=None)
            if record and (
                is_refreshed or self.folder.version(self._file(record.id)) == record.version
            ):
                return record
        return None

    def read(self, record: Record) -> bytes:
        """The contents of the record's file.

        Raises:
            DamagedError: the contents have changed; the record is no longer served.
            FileNotFoundError: the file was removed meanwhile.
        """
        try:
            contents = self._contents(self._file(record.id))
            header = _header(contents)
            if header.metadata.get(_DIGEST) != header.digest(contents):
                raise DamagedError("its contents have changed")
        except DamagedError as error:
            self._skip(record.id, record.version, str(error))
            raise
        return contents

    def write(self, id: str, facts: Mapping[str, Any], pack: Pack) -> Record:
        """Store a record, replacing any with the same id.

        Args:
            pack: makes the file's contents from the metadata.
        """
        facts = dict(facts)
        metadata = {_FACTS: json.dumps(facts, ensure_ascii=False)}
        contents = pack(metadata)
        contents = pack({**metadata, _DIGEST: _header(contents).digest(contents)})
        self.folder.write(self._file(id), contents)
        self.refresh()
        with self._lock:
            written = Record(id=id, facts=facts, version=Version(len(contents), ""))
            return self._known.get(id, written)

    def remove(self, id: str) -> bool:
        """Remove a record; return whether it existed."""
        removed = self.folder.remove(self._file(id))
        self.refresh()
        return removed

    def refresh(self) -> None:
        """Take in changes that other processes made."""
        versions = self.folder.versions(self.kind)
        files = {name: version for name, version in versions.items() if name.endswith(_SUFFIX)}
        with self._lock:
            for id, record in list(self._known.items()):
                if files.get(self._file(id)) != record.version:
                    del self._known[id]
            for name, (version, _) in list(self._damaged.items()):
                if files.get(name) != version:
                    del self._damaged[name]
            new = {
                name: version
                for name, version in files.items()
                if name not in self._damaged and self._id_of(name) not in self._known
            }
        for name, version in sorted(new.items()):
            id = self._id_of(name)
            try:
                facts = self._facts(name, version)
            except FileNotFoundError:
                continue  # removed after it was listed
            except DamagedError as error:
                self._skip(id, version, str(error))
                continue
            with self._lock:
                self._known[id] = Record(id=id, facts=facts, version=version)

    def _contents(self, name: str, size: int | None = None) -> bytes:
        try:
            return self.folder.read(name, size)
        except UnusableFileError as error:
            raise DamagedError(str(error)) from error

    def _facts(self, name: str, version: Version) -> dict[str, Any]:
        if not self.is_id(self._id_of(name)):
            raise DamagedError(f"its name does not have the form {self.prefix}…")
        contents = self._contents(name, HEAD_BYTES)
        if len(contents) < 8 + int.from_bytes(contents[:8], "little") <= version.size:
            contents = self._contents(name)
        header = _header(contents)
        if header.size != version.size:
            raise DamagedError("it is truncated")
        try:
            facts = json.loads(header.metadata[_FACTS])
            json.dumps(facts, ensure_ascii=False).encode()  # halves of characters cannot be sent
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise DamagedError("it has no facts") from error
        if not isinstance(facts, dict) or not all(
            isinstance(facts.get(key), kind) for key, kind in self._required.items()
        ):
            raise DamagedError("its facts do not match this version")
        return facts

    def _skip(self, id: str, version: Version, reason: str) -> None:
        name = self._file(id)
        with self._lock:
            self._known.pop(id, None)
            self._damaged[name] = (version, reason)
        log.warning("skipped the damaged file %s: %s", name, reason)

    def _file(self, id: str) -> str:
        return f"{self.kind}/{id}{_SUFFIX}"

    def _id_of(self, name: str) -> str:
        return name.removeprefix(f"{self.kind}/").removesuffix(_SUFFIX)


@dataclass(frozen=True)
class _Header:
    """The header of a safetensors file: metadata, offset of the tensors, expected file size."""

    metadata: dict[str, str]
    start: int
    size: int

    def digest(self, contents: bytes) -> str:
        """A hash of the tensors and of all metadata except the digest itself."""
        rest = {key: value for key, value in self.metadata.items() if key != _DIGEST}
        hashed = hashlib.blake2b(json.dumps(rest, sort_keys=True).encode(), digest_size=16)
        hashed.update(contents[self.start :])
        return hashed.hexdigest()


def _header(contents: bytes) -> _Header:
    start = 8 + int.from_bytes(contents[:8], "little")
    try:
        values = json.loads(contents[8:start])
        metadata = values.pop("__metadata__")
        ends = [value["data_offsets"][1] for value in values.values()]
        return _Header(dict(metadata), start, start + max(ends, default=0))
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise DamagedError("it is not a safetensors file of this store") from error
