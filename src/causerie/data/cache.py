"""What was worked out of each recording, on disk, so that it is worked once.

A file a recording, named by all that its contents depend on: the recording, its turns, the limits,
the codec, the recogniser. A run that is killed, changed or extended finds again what still holds.
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
from causerie.data.process_recording import Outcome, Worked
from causerie.data.shards import write_whole
from causerie.dataclass_dict import from_dict

#: Changes whenever the same recording would be worked otherwise.
VERSION = 1


class WorkCache:
    """The folder of such files.

    Args:
        settings: all that every recording's outcome depends on, as JSON values.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self.settings = {"version": VERSION, **settings}
        folder.mkdir(parents=True, exist_ok=True)

    def key(self, recording: Recording) -> str:
        """Another whenever the outcome might be another."""
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

    def read(self, recording: Recording) -> Worked | None:
        """What was worked before, if it was."""
        path = self._path(self.key(recording))
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                values = json.loads(file.metadata()["worked"])
                codes = file.get_tensor("codes")
        except (OSError, SafetensorError):
            return None  # a disk's fault: work it again
        outcomes = [from_dict(Outcome, outcome) for outcome in values["outcomes"]]
        return Worked(outcomes=outcomes, codes=codes, duration_s=values["duration_s"])

    def write(self, recording: Recording, worked: Worked) -> None:
        """Keep it."""
        values = {
            "duration_s": worked.duration_s,
            "outcomes": [asdict(outcome) for outcome in worked.outcomes],
        }
        metadata = {"worked": json.dumps(values)}
        path = self._path(self.key(recording))
        path.parent.mkdir(exist_ok=True)
        write_whole(path, save({"codes": worked.codes}, metadata))

    def forget_others(self, recordings: list[Recording]) -> None:
        """Remove what no recording needs any more."""
        wanted = {self._path(self.key(recording)) for recording in recordings}
        for path in self.folder.glob("??/*"):
            if path not in wanted:
                path.unlink()

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key[2:]}.safetensors"
