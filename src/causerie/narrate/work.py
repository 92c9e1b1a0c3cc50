"""Keeps the finished parts of a narration, so that an interrupted run can go on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from causerie.audio import io
from causerie.audio.audio import Check
from causerie.errors import AudioError
from causerie.files import write_bytes
from causerie.folder_lock import lock_folder
from causerie.word_times.align import WordTime


class _Keyed(Protocol):
    @property
    def key(self) -> str: ...

    @property
    def text(self) -> str: ...


@dataclass(frozen=True)
class Spoken:
    """A part that is spoken.

    Attributes:
        level_db: see `causerie.narrate.level`.
        notes, checks: of the reply.
    """

    samples: NDArray[np.float32]
    words: list[WordTime]
    level_db: float
    notes: list[str]
    checks: list[Check] = field(default_factory=list)


@dataclass(frozen=True)
class Facts:
    """A part without its samples."""

    words: list[WordTime]
    level_db: float
    notes: list[str]
    checks: list[Check]
    num_samples: int
    seconds: float = field(default=0.0)


class Work:
    """A folder with two files a part: the audio, then its facts, which say that it is finished.

    A context manager: the folder is locked meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._stack = folder, ExitStack()

    def __enter__(self) -> Work:
        self._stack.enter_context(lock_folder(self._folder))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def has(self, key: str) -> bool:
        """Whether a part is finished."""
        return self._facts(key).is_file()

    def missing_chars(self, parts: Sequence[_Keyed]) -> int:
        """The characters of the parts that are not finished."""
        missing = {part.key: len(part.text) for part in parts if not self.has(part.key)}
        return sum(missing.values())

    def save(self, key: str, spoken: Spoken, sample_rate: int = 1) -> None:
        """Keep a finished part.

        Raises:
            AudioError: the files cannot be written.
        """
        if len(spoken.samples):
            io.write(self._audio(key), spoken.samples, sample_rate)
        facts = {
            "samples": len(spoken.samples),
            "rate": sample_rate,
            "level_db": spoken.level_db,
            "notes": spoken.notes,
            "checks": [asdict(check) for check in spoken.checks],
            "words": [[w.text, w.start_s, w.end_s, w.ends_sentence] for w in spoken.words],
        }
        try:
            write_bytes(self._facts(key), json.dumps(facts).encode())
        except OSError as error:
            raise AudioError(f"cannot write {self._facts(key)}: {error.strerror}") from error

    def load_facts(self, key: str) -> Facts:
        """The facts of a finished part."""
        facts = json.loads(self._facts(key).read_text("utf-8"))
        return Facts(
            [WordTime(*word) for word in facts["words"]],
            facts["level_db"],
            facts["notes"],
            [Check(**check) for check in facts["checks"]],
            facts["samples"],
            facts["samples"] / facts["rate"],
        )

    def load_samples(self, key: str) -> NDArray[np.float32]:
        """The samples (N,) of a finished part."""
        if not self._audio(key).is_file():
            return np.zeros(0, np.float32)
        return io.read(self._audio(key))[0]

    def remove(self) -> None:
        """Delete the folder, once the whole is written."""
        self._stack.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _audio(self, key: str) -> Path:
        return self._folder / f"{key}.flac"

    def _facts(self, key: str) -> Path:
        return self._folder / f"{key}.json"
