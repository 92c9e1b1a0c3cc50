"""Recordings by which people agreed that their voice is copied; kept as `records` says.

Knows nothing of the voices that rest on them.
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
    """No consent of that id."""


@dataclass(frozen=True, kw_only=True)
class Consent:
    """That somebody agreed to be copied, and said so.

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
    """Consents in a folder."""

    def __init__(self, folder: Folder) -> None:
        self._records = Records(folder, "consents", _PREFIX, _FACTS)

    @property
    def problems(self) -> list[str]:
        """A line for each file that is passed over."""
        return self._records.problems

    def add(self, recording: bytes, *, name: str, language: str, media_type: str) -> Consent:
        """Keep one.

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
        """The next ones, the newest first, and whether there are more.

        Args:
            after: an id, which may be gone by now.

        Raises:
            ConfigError: it is no such id.
        """
        if after is not None and not self._records.is_id(after):
            raise ConfigError(f"after must be the id of a consent, not {after!r}")
        records = [r for r in self._records.all() if after is None or r.id < after]
        return [_consent(record) for record in records[:limit]], len(records) > limit

    def get(self, id: str) -> Consent:
        """That of an id.

        Raises:
            UnknownConsentError: there is none.
        """
        return _consent(self._find(id))

    def recording(self, id: str) -> bytes:
        """What was recorded, as it was sent.

        Raises:
            UnknownConsentError: there is none, or its file is damaged.
        """
        try:
            return self._recording(self._find(id))
        except (DamagedError, FileNotFoundError) as error:
            raise UnknownConsentError(f"no consent {id!r}") from error

    def rename(self, id: str, name: str) -> Consent:
        """Call it otherwise.

        Raises:
            UnknownConsentError: there is none, or its file is damaged.
        """
        with self._records.folder.locked():
            record = self._find(id)
            try:
                recording = self._recording(record)
            except (DamagedError, FileNotFoundError) as error:
                raise UnknownConsentError(f"no consent {id!r}") from error
            return self._write(id, {**record.facts, "name": name}, recording)

    def remove(self, id: str) -> None:
        """Forget it, whoever rests on it.

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
        return load(self._records.read(record))["recording"].numpy().tobytes()

    def _write(self, id: str, facts: Mapping[str, Any], recording: bytes) -> Consent:
        sound = torch.frombuffer(bytearray(recording), dtype=torch.uint8)
        return _consent(
            self._records.write(
                id, facts, lambda metadata: save({"recording": sound}, dict(metadata))
            )
        )


def is_consent_id(text: str) -> bool:
    """Whether it is meant as one."""
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
