"""Lists the recordings of a folder: sound files with transcripts, or the rows of a manifest.

Without a manifest, `a.txt` beside `a.wav` is its transcript, and the first folder of a file's path
is its speaker. A manifest is a csv, tsv or jsonl file of rows (see `COLUMNS`). Files that are not
part of the data are listed with the reason. Reads no audio.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from causerie.data.sound import EXTENSIONS
from causerie.errors import ConfigError

#: Columns of a manifest and their aliases; audio and text are required.
COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "audio": ("audio", "audio_path", "audio_file", "path", "file", "file_name", "filename"),
        "text": ("text", "transcript", "transcription", "sentence"),
        "speaker": ("speaker", "speaker_id"),
        "conversation": ("conversation", "conversation_id", "dialogue"),
        "start": ("start", "start_s"),
        "end": ("end", "end_s"),
    }
)
MANIFESTS = (".csv", ".tsv", ".jsonl")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One turn of the input.

    Attributes:
        place: index among all turns.
        text: the transcript; empty if the recognizer is to write it.
        start_s, end_s: interval of the recording; None for its begin or end.
        problem: why the transcript cannot be read; empty if it can.
    """

    place: int
    text: str
    speaker: str
    conversation: str
    start_s: float | None = None
    end_s: float | None = None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A sound file and its turns; `name` is its path relative to the folder."""

    name: str
    path: Path
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Found:
    """The contents of a folder.

    Attributes:
        recordings: the recordings in order of their first turns.
        left_out: other files, and why they are not part of the data.
        notes: notes on the manifest as a whole.
    """

    recordings: list[Recording]
    left_out: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find(folder: Path, out: Path | None = None, manifest: Path | None = None) -> Found:
    """List the recordings of a folder, without hidden files and the folder `out`.

    Args:
        manifest: manifest to read; by default the one in the folder, if there is one.

    Raises:
        ConfigError: the folder is missing or empty, or the manifest is invalid.
    """
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}")
    files = list(_files(folder, out))
    sounds = [path for path in files if path.suffix.lower() in EXTENSIONS]
    if manifest is None:
        there = [path for path in files if path.parent == folder and path.suffix in MANIFESTS]
        if len(there) > 1:
            names = ", ".join(path.name for path in there)
            raise ConfigError(f"{folder} has several manifests ({names}): give one by --manifest")
        manifest = there[0] if there else None
    if manifest is not None:
        return _from_manifest(folder, manifest, files)
    if not sounds:
        raise ConfigError(
            f"{folder} has no sound files (wav, flac, mp3, m4a …) and no manifest (csv, jsonl)"
        )
    return _from_files(folder, files, sounds)


def _files(folder: Path, out: Path | None) -> Iterator[Path]:
    skip = out.resolve() if out else None
    for where, folders, names in os.walk(folder, followlinks=True):
        here = Path(where)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (here / name).resolve() != skip
        )
        for name in sorted(names):
            if not name.startswith("."):
                yield here / name


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


# -- without a manifest -------------------------------------------------------------------------


def _from_files(folder: Path, files: list[Path], sounds: list[Path]) -> Found:
    by_stem: dict[Path, Path] = {}
    for path in sounds:
        other = by_stem.setdefault(path.with_suffix(""), path)
        if other is not path:
            raise ConfigError(
                f"{_name(folder, other)} and {_name(folder, path)} in {folder} have the same name "
                f"and so the same transcript: remove or rename one"
            )
    recordings = []
    for place, path in enumerate(sounds):
        name = _name(folder, path)
        text, problem = _read_text(path.with_suffix(".txt"))
        parts = path.relative_to(folder).parts
        speaker = parts[0] if len(parts) > 1 else folder.resolve().name or "speaker"
        row = Row(place=place, text=text, speaker=speaker, conversation=name, problem=problem)
        recordings.append(Recording(name=name, path=path, rows=(row,)))
    left_out = []
    for path in files:
        if path.suffix == ".txt" and path.with_suffix("") in by_stem:
            continue
        if path.suffix.lower() not in EXTENSIONS:
            why = (
                "no sound file of this name"
                if path.suffix == ".txt"
                else "not a sound file or .txt"
            )
            left_out.append((_name(folder, path), why))
    return Found(recordings=recordings, left_out=left_out)


def _read_text(path: Path) -> tuple[str, str]:
    """The transcript on one line, and why it cannot be read, if so."""
    if not path.is_file():
        return "", ""
    try:
        return " ".join(path.read_text("utf-8-sig").split()), ""
    except (OSError, UnicodeDecodeError) as error:
        return "", f"{path.name} is not UTF-8 text: {error}"


# -- with a manifest ----------------------------------------------------------------------------


def _from_manifest(folder: Path, manifest: Path, files: list[Path]) -> Found:
    try:
        contents = manifest.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {manifest}: {error}") from error
    numbered = list(
        _jsonl(manifest, contents) if manifest.suffix == ".jsonl" else _csv(manifest, contents)
    )
    if not numbered:
        raise ConfigError(f"{manifest} has no rows")
    columns, unused = _columns(manifest, numbered)
    rows: dict[Path, list[Row]] = {}
    names: dict[Path, str] = {}
    given, own = set[str](), set[str]()
    for place, (line, values) in enumerate(numbered):
        cells = _Cells(f"{manifest.name}, line {line}", values, columns)
        audio = cells.text("audio")
        if not audio:
            raise ConfigError(f"{cells.where}: audio is empty")
        path = Path(os.path.normpath(manifest.parent / audio))
        inside = path.is_relative_to(folder)
        names.setdefault(path, _name(folder, path) if inside else path.as_posix())
        conversation = cells.text("conversation")
        given.update([conversation] if conversation else [])
        if not conversation:
            conversation = f"{names[path]}#{line}"
            own.add(conversation)
        start_s, end_s = cells.seconds("start"), cells.seconds("end")
        if end_s is not None and end_s <= (start_s or 0.0):
            raise ConfigError(
                f"{cells.where}: end ({end_s} s) is not after start ({start_s or 0} s)"
            )
        row = Row(
            place=place,
            text=" ".join(cells.text("text").split()),
            speaker=cells.text("speaker") or "speaker",
            conversation=conversation,
            start_s=start_s,
            end_s=end_s,
        )
        same = [r for r in rows.setdefault(path, []) if (r.start_s, r.end_s) == (start_s, end_s)]
        if same:
            line_before = numbered[same[0].place][0]
            raise ConfigError(
                f"{cells.where} has the same interval of {audio} as line {line_before}"
            )
        rows[path].append(row)
    if clash := sorted(given & own):
        raise ConfigError(f"{manifest}: the conversation name {clash[0]!r} is reserved: rename it")
    if not any(path.is_file() for path in rows):
        raise ConfigError(
            f"{manifest}: none of its {len(rows)} sound files exists, such as {next(iter(rows))}; "
            f"paths are relative to the folder of the manifest"
        )
    recordings = [
        Recording(name=names[path], path=path, rows=tuple(turns)) for path, turns in rows.items()
    ]
    left_out = [
        (_name(folder, path), f"not in {manifest.name}")
        for path in files
        if path not in rows and path.resolve() != manifest.resolve()
    ]
    notes = [f"unused columns of {manifest.name}: {', '.join(unused)}"] if unused else []
    return Found(recordings=recordings, left_out=left_out, notes=notes)


def _csv(path: Path, contents: str) -> Iterator[tuple[int, dict[str, Any]]]:
    delimiter = "\t" if path.suffix == ".tsv" else ","
    reader = csv.DictReader(io.StringIO(contents, newline=""), delimiter=delimiter, strict=True)
    try:
        for values in reader:
            if None in values or None in values.values():
                raise ConfigError(
                    f"{path.name}, line {reader.line_num}: {len(reader.fieldnames or ())} columns "
                    f"expected; quote text that contains {delimiter!r}"
                )
            yield reader.line_num, {key.strip().lower(): cell for key, cell in values.items()}
    except csv.Error as error:
        raise ConfigError(f"{path.name}, after line {reader.line_num}: {error}") from error


def _jsonl(path: Path, contents: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, row in enumerate(contents.splitlines(), 1):
        if not row.strip():
            continue
        try:
            values = json.loads(row)
        except ValueError as error:
            raise ConfigError(f"{path.name}, line {line} is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise ConfigError(f'{path.name}, line {line} is not an object: write {{"audio": …}}')
        yield line, {key.strip().lower(): value for key, value in values.items()}


def _columns(
    path: Path, rows: list[tuple[int, dict[str, Any]]]
) -> tuple[dict[str, str], list[str]]:
    """The names of our columns in the manifest, and its unused columns."""
    there = dict.fromkeys(name for _, values in rows for name in values)
    columns: dict[str, str] = {}
    for column, names in COLUMNS.items():
        found = [name for name in names if name in there]
        if len(found) > 1:
            raise ConfigError(f"{path} has {' and '.join(found)}: keep one column for {column}")
        if found:
            columns[column] = found[0]
    for column in ("audio", "text"):
        if column not in columns:
            hint = "; add it, empty where the recognizer is to write it" if column == "text" else ""
            raise ConfigError(
                f"{path} has no column {column!r} (its columns: {', '.join(there)}){hint}"
            )
    return columns, [name for name in there if name not in columns.values()]


@dataclass(frozen=True)
class _Cells:
    where: str
    values: Mapping[str, Any]
    columns: Mapping[str, str]

    def text(self, column: str) -> str:
        value = self._value(column)
        if isinstance(value, (dict, list, bool)):
            raise ConfigError(f"{self.where}: {column} must be text, not {value!r}")
        return "" if value is None else str(value).strip()

    def seconds(self, column: str) -> float | None:
        text = self.text(column)
        if not text:
            return None
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not math.isfinite(seconds) or seconds < 0:
            raise ConfigError(f"{self.where}: {column} must be 0 or more seconds, not {text!r}")
        return seconds

    def _value(self, column: str) -> Any:
        return self.values.get(self.columns.get(column, ""))
