"""Prepares a folder of recordings for training: one call from sound files to shards and report.

    OUT/dataset.json, 00000.safetensors, 00000.jsonl …   the data; see `causerie.data.shards`
    OUT/report.html, report.json                         what was kept and dropped, and why
    OUT/work                                             results; see `causerie.data.cache`

A run that was killed and started again writes the same shards. Knows nothing about terminals.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causerie.codec.mimi import Mimi
from causerie.data.activity import Detector, silero
from causerie.data.cache import WorkCache
from causerie.data.checks import Limits
from causerie.data.conversations import Conversation, build_conversations
from causerie.data.manifest import Found, Recording, find
from causerie.data.page import page
from causerie.data.process_recording import Pipeline, Processed, process
from causerie.data.report import Entry, Report
from causerie.data.shards import INDEX, NewTurn, ShardWriter, codec_fingerprint, write_whole
from causerie.errors import ConfigError
from causerie.folder_lock import holds_only_lock, lock_folder
from causerie.recognition.whisper import Recognizer

#: Called before each recording with the number done, the total and its name.
OnProgress = Callable[[int, int, str], None]
REPORT, DETAILS, WORK = "report.html", "report.json", "work"


def prepare(
    folder: Path,
    out: Path,
    *,
    codec: Mimi,
    limits: Limits | None = None,
    recognize: Recognizer | None = None,
    recognizer: str = "none",
    language: str = "en",
    manifest: Path | None = None,
    detect: Detector | None = None,
    on_progress: OnProgress = lambda done, total, name: None,
) -> Report:
    """Prepare a folder of recordings for training.

    Args:
        folder: sound files with transcripts, or with a manifest; see `causerie.data.manifest`.
        out: folder to write; a folder of an earlier run is resumed.
        codec: codec that encodes the speech.
        limits: limits that a turn must meet to be kept.
        recognize: recognizer that checks transcripts and writes missing ones.
        recognizer: its name; another one processes all recordings again.
        language: language of the speech; "en" reads numbers in transcripts as words.
        detect: detector of speech; Silero by default.

    Raises:
        ConfigError: there is nothing to prepare, the manifest is invalid, a package is missing, or
            no turn was kept (the report is written nevertheless).
    """
    limits = limits or Limits()
    if out.resolve() == folder.resolve():
        raise ConfigError(f"{out} holds the recordings: choose another output folder")
    found = find(folder, out, manifest)
    _check_out(out)
    pipeline = Pipeline(
        codec=codec,
        limits=limits,
        detect=detect or silero(),
        recognize=recognize,
        language=language,
    )
    settings = {
        "limits": asdict(limits),
        "codec": codec_fingerprint(codec),
        "recognizer": recognizer if recognize else "none",
        "language": language,
    }
    with lock_folder(out):
        return _prepare(folder, out, found, pipeline, settings, on_progress)


def _prepare(
    folder: Path,
    out: Path,
    found: Found,
    pipeline: Pipeline,
    settings: dict[str, Any],
    on_progress: OnProgress,
) -> Report:
    """Process all recordings, then write shards and report."""
    cache = WorkCache(out / WORK, settings)
    processed = []
    for done, recording in enumerate(found.recordings):
        on_progress(done, len(found.recordings), recording.name)
        result = cache.read(recording)
        if result is None:
            result = process(recording, pipeline)
            cache.write(recording, result)
        processed.append((recording, result))
    on_progress(len(processed), len(processed), "writing the shards")
    conversations, split = build_conversations(
        [(recording, result.outcomes) for recording, result in processed]
    )
    _write_shards(out, conversations, processed, pipeline.codec, settings["codec"])
    notes = [*found.notes]
    if pipeline.recognize is None:
        notes.append("transcripts were not checked: no recognizer was used")
    report = Report(
        folder=str(folder.resolve()),
        settings=settings,
        entries=tuple(
            Entry(recording=one, outcomes=tuple(it.outcomes), duration_s=it.duration_s)
            for one, it in processed
        ),
        left_out=tuple(found.left_out),
        split=tuple(split),
        notes=tuple(notes),
        num_conversations=len(conversations),
    )
    write_whole(out / DETAILS, report.to_json().encode())
    write_whole(out / REPORT, page(report, folder.resolve().name).encode())
    cache.prune(found.recordings)
    if not conversations:
        reasons = ", ".join(f"{n} {kind}" for kind, n in report.dropped_by_reason().items())
        first = report.dropped[0].reasons[0]
        raise ConfigError(
            f"no turn of {folder} was kept ({reasons}; first: {first.detail}); see {out / REPORT}"
        )
    return report


def recordings_of(out: Path) -> Path | None:
    """The recordings that a prepared folder was made from; None if its report does not say."""
    path = out / DETAILS
    try:
        folder = json.loads(path.read_text("utf-8")).get("folder") if path.is_file() else None
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {path}: {error}; prepare the data again") from error
    return None if folder is None else Path(folder)


def _check_out(out: Path) -> None:
    """Raise ConfigError if `out` cannot be written or has other files."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"cannot write to {out}: it is not a folder")
    if out.is_dir() and not holds_only_lock(out) and not (out / WORK).is_dir():
        raise ConfigError(f"{out} has other files: choose a new or empty folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write to {out}: {error.strerror}") from error


def _write_shards(
    out: Path,
    conversations: list[Conversation],
    processed: list[tuple[Recording, Processed]],
    codec: Mimi,
    fingerprint: Any,
) -> None:
    """Write all shards anew, which is fast, so that nothing of an earlier run remains."""
    (out / INDEX).unlink(missing_ok=True)  # first: the shards do not count without it
    for path in out.glob(f"{'[0-9]' * 5}.*"):
        path.unlink()
    if not conversations:
        return
    codes: dict[str, NDArray[np.int16]] = {one.name: result.codes for one, result in processed}
    writer = ShardWriter(
        out,
        codec=fingerprint,
        num_codebooks=codec.config.num_codebooks,
        frame_rate=codec.config.frame_rate,
    )
    for conversation in conversations:
        turns = []
        for turn in conversation.turns:
            outcome, last = turn.outcome, turn.first_frame + turn.outcome.num_frames
            turns.append(
                NewTurn(
                    text=outcome.text,
                    speaker=turn.row.speaker,
                    turn=turn.number,
                    codes=codes[turn.recording.name][turn.first_frame : last],
                    source=turn.recording.name,
                    start_s=outcome.start_s,
                    end_s=outcome.end_s,
                )
            )
        writer.add(conversation.name, turns)
    writer.close()
