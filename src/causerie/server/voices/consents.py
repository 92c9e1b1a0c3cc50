"""Recorded consents: recordings in which people agree to the use of their voice.

Stored as `records` describes. Knows nothing of the voices that depend on them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load, save

from causerie.errors import CauserieError, ConfigError
from causerie.server.voices.folder import Folder
from causerie.server.voices.records import DamagedError, Record, Records

_PREFIX = "cons_"
_FACTS: Mapping[str, type] = {
    "name": str,
    "created": int,
    "language": str,
    "media_type": str,
}


class UnknownConsentError(CauserieError):
    """No consent has this id."""


@dataclass(frozen=True, kw_only=True)
class Consent:
    """A recorded consent, without its recording.

    Attributes:
        created_at: seconds since 1970.
        media_type: of the recording.
    """

    id: str
    name: str
    language: str
    created_at: int
    media_type: str


class Consents:
    """The consents in a folder."""

    def __init__(self, folder: Folder) -> None:
        self._records = Records(folder, "consents", _PREFIX, _FACTS)

    @property
    def problems(self) -> list[str]:
        """One line for each damaged file."""
        return self._records.problems

    def add(self, recording: bytes, *, name: str, language: str, media_type: str) -> Consent:
        """Store a new consent.

        Raises:
            StoreError: the disk fails.
        """
        facts = {
            "name": name,
            "created": int(time.time()),
            "language": language,
            "media_type": media_type,
        }
        return self._write(self._records.new_id(), facts, recording)

    def list(self, *, after: str | None = None, limit: int = 20) -> tuple[list[Consent], bool]:
        """One page of consents, newest first, and whether there are more.

        Args:
            after: the last id of the previous page; its consent may have been deleted.

        Raises:
            ConfigError: `after` is not a consent id.
        """
        if after is not None and not self._records.is_id(after):
            raise ConfigError(f"after must be the id of a consent, not {after!r}")
        records = [r for r in self._records.all() if after is None or r.id < after]
        return [_consent(record) for record in records[:limit]], len(records) > limit

    def get(self, id: str) -> Consent:
        """The consent with this id.

        Raises:
            UnknownConsentError: there is none.
        """
        return _consent(self._find(id))

    def recording(self, id: str) -> bytes:
        """The recording, byte for byte as uploaded.

        Raises:
            UnknownConsentError: there is none, or its file is damaged.
        """
        return self._recording(self._find(id))

    def rename(self, id: str, name: str) -> Consent:
        """Give a consent another name.

        Raises:
            UnknownConsentError: there is none, or its file is damaged.
        """
        with self._records.folder.locked():
            record = self._find(id)
            recording = self._recording(record)
            return self._write(id, {**record.facts, "name": name}, recording)

    def remove(self, id: str) -> None:
        """Delete a consent even if voices use it.

        Raises:
            UnknownConsentError: there is none.
        """
        self._records.remove(self._find(id).id)

    def _find(self, id: str) -> Record:
        record = self._records.find(lambda record: record.id == id)
        if record is None:
            raise UnknownConsentError(f"no consent {id!r}")
        return record

    def _recording(self, record: Record) -> bytes:
        try:
            contents = self._records.read(record)
        except (DamagedError, FileNotFoundError) as error:
            raise UnknownConsentError(f"no consent {record.id!r}") from error
        return load(contents)["recording"].numpy().tobytes()

    def _write(self, id: str, facts: Mapping[str, Any], recording: bytes) -> Consent:
        tensor = torch.frombuffer(bytearray(recording), dtype=torch.uint8)
        return _consent(
            self._records.write(
                id, facts, lambda metadata: save({"recording": tensor}, dict(metadata))
            )
        )


def is_consent_id(text: str) -> bool:
    """Whether the text has the prefix of consent ids."""
    return text.startswith(_PREFIX)


def _consent(record: Record) -> Consent:
    facts = record.facts
    return Consent(
        id=record.id,
        name=facts["name"],
        language=facts["language"],
        created_at=facts["created"],
        media_type=facts["media_type"],
    )
