"""Things with an identity that are kept, each as one safetensors file: tensors, facts, a digest.

Every process that looks into the same folder sees the same ones: the folder is looked at again when
they are listed and when one is not found. Damaged files are told of once and passed over, never
deleted. Knows nothing of what the facts mean.
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

from causerie.server.voices.folder import Folder, Version

log = logging.getLogger("causerie.server")

#: So much of a file is read for its facts; they are longer only with a very long text.
HEAD = 65_536
_SUFFIX = ".safetensors"
_FACTS, _DIGEST = "facts", "digest"

#: From metadata and tensors' bytes to a whole file, see `Records.write`.
Pack = Callable[[Mapping[str, str]], bytes]


class DamagedError(Exception):
    """A file is not what was written."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is known of one.

    Attributes:
        id: rises with time.
        facts: as they were written.
        version: of its file.
    """

    id: str
    facts: dict[str, Any]
    version: Version


class Records:
    """All of one kind.

    Args:
        kind: folder that they lie in.
        prefix: that their identities begin with, such as "voice_".
        required: names of facts, and their types.
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
        """A line for each file that is passed over."""
        with self._lock:
            return [f"{name}: {why}" for name, (_, why) in sorted(self._damaged.items())]

    def new_id(self) -> str:
        """An identity above all earlier ones."""
        return f"{self.prefix}{time.time_ns():016x}{secrets.token_hex(4)}"

    def is_id(self, text: str) -> bool:
        """Whether it has the form of an identity."""
        return self._id.fullmatch(text) is not None

    def all(self) -> list[Record]:
        """All there are now, the newest first."""
        self.refresh()
        with self._lock:
            return sorted(self._known.values(), key=lambda record: record.id, reverse=True)

    def find(self, wanted: Callable[[Record], bool]) -> Record | None:
        """The oldest one that is wanted, and is there still; looks again before it gives up."""
        for again in (False, True):
            if again:
                self.refresh()
            with self._lock:
                found = [record for record in self._known.values() if wanted(record)]
            record = min(found, key=lambda record: record.id, default=None)
            if record and (again or self.folder.version(self._file(record.id)) == record.version):
                return record
        return None

    def read(self, record: Record) -> bytes:
        """The contents of its file.

        Raises:
            DamagedError: they are not what was written; it is not served any more.
            FileNotFoundError: it was removed meanwhile.
        """
        contents = self.folder.read(self._file(record.id))
        try:
            header = _header(contents)
            if header.metadata.get(_DIGEST) != header.digest(contents):
                raise DamagedError("its contents have changed")
        except DamagedError as error:
            self._pass_over(record.id, record.version, str(error))
            raise
        return contents

    def write(self, id: str, facts: Mapping[str, Any], pack: Pack) -> Record:
        """Keep one, whole; it may replace itself.

        Args:
            pack: makes the file from the metadata that it is to hold.
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
        """Remove one; whether it was there."""
        removed = self.folder.remove(self._file(id))
        self.refresh()
        return removed

    def refresh(self) -> None:
        """See what others wrote and removed."""
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
                continue  # removed since it was listed
            except DamagedError as error:
                self._pass_over(id, version, str(error))
                continue
            with self._lock:
                self._known[id] = Record(id=id, facts=facts, version=version)

    def _facts(self, name: str, version: Version) -> dict[str, Any]:
        if not self.is_id(self._id_of(name)):
            raise DamagedError(f"its name is not one of the store's, {self.prefix}…")
        contents = self.folder.read(name, HEAD)
        if len(contents) < 8 + int.from_bytes(contents[:8], "little") <= version.size:
            contents = self.folder.read(name)
        header = _header(contents)
        if header.size != version.size:
            raise DamagedError("it is cut off")
        try:
            facts = json.loads(header.metadata[_FACTS])
        except (KeyError, ValueError) as error:
            raise DamagedError("it has no facts") from error
        if not isinstance(facts, dict) or not all(
            isinstance(facts.get(key), kind) for key, kind in self._required.items()
        ):
            raise DamagedError("its facts are not those of this version")
        return facts

    def _pass_over(self, id: str, version: Version, why: str) -> None:
        name = self._file(id)
        with self._lock:
            self._known.pop(id, None)
            self._damaged[name] = (version, why)
        log.warning("%s is damaged and is not served: %s", name, why)

    def _file(self, id: str) -> str:
        return f"{self.kind}/{id}{_SUFFIX}"

    def _id_of(self, name: str) -> str:
        return name.removeprefix(f"{self.kind}/").removesuffix(_SUFFIX)


@dataclass(frozen=True)
class _Header:
    """Of a safetensors file: its metadata, where its tensors start, and how long it should be."""

    metadata: dict[str, str]
    start: int
    size: int

    def digest(self, contents: bytes) -> str:
        """Of all metadata but the digest itself, and of the tensors."""
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
    except (AttributeError, KeyError, LookupError, TypeError, ValueError) as error:
        raise DamagedError("it is no safetensors file of the store's") from error
