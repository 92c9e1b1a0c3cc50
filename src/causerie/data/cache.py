"""Stores the result of each recording on disk, so that it is processed once.

There is one file per recording, named by a hash of all that the result depends on: the recording,
its turns, the limits, the codec and the recognizer. A run that was killed, changed or extended
reuses every result that is still valid.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from causerie.data.manifest import Recording
from causerie.data.process_recording import Outcome, Processed
from causerie.data.shards import write_whole
from causerie.dataclass_dict import from_dict

#: Changes whenever the code gives another result for the same recording.
VERSION = 2
#: Key of the metadata in each file.
_KEY = "worked"


class WorkCache:
    """A folder of results.

    Args:
        settings: everything that all results depend on, as JSON values.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self.settings = {"version": VERSION, **settings}
        folder.mkdir(parents=True, exist_ok=True)

    def key(self, recording: Recording) -> str:
        """The hash of all that the result of a recording depends on."""
        try:
            stat = recording.path.stat()
            file = (stat.st_size, stat.st_mtime_ns)
        except OSError:
            file = (0, 0)
        rows = [
            (row.text, row.speaker, row.start_s, row.end_s, row.problem) for row in recording.rows
        ]
        values = json.dumps([self.settings, recording.name, file, rows], sort_keys=True)
        return hashlib.blake2b(values.encode(), digest_size=16).hexdigest()

    def read(self, recording: Recording) -> Processed | None:
        """The stored result; None if there is none."""
        path = self._path(self.key(recording))
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                values = json.loads(file.metadata()[_KEY])
                codes = file.get_tensor("codes")
        except (OSError, SafetensorError):
            return None  # the file is damaged: process the recording again
        outcomes = [from_dict(Outcome, outcome) for outcome in values["outcomes"]]
        return Processed(outcomes=outcomes, codes=codes, duration_s=values["duration_s"])

    def write(self, recording: Recording, processed: Processed) -> None:
        """Store a result."""
        values = {
            "duration_s": processed.duration_s,
            "outcomes": [asdict(outcome) for outcome in processed.outcomes],
        }
        metadata = {_KEY: json.dumps(values)}
        path = self._path(self.key(recording))
        path.parent.mkdir(exist_ok=True)
        write_whole(path, save({"codes": processed.codes}, metadata))

    def prune(self, recordings: list[Recording]) -> None:
        """Delete all results but those of these recordings."""
        wanted = {self._path(self.key(recording)) for recording in recordings}
        for path in self.folder.glob("??/*"):
            if path not in wanted:
                path.unlink()

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key[2:]}.safetensors"
