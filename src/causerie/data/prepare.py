"""From a folder of recordings to shards of codes: finds, works, joins, writes, reports.

    OUT/dataset.json, 00000.safetensors, 00000.jsonl …   the data; see `causerie.data.shards`
    OUT/report.html, report.json                         what was kept and dropped, and why
    OUT/work                                             each recording's result; see `data.kept`

Killed at any time and run again, it ends with the same shards. Knows nothing of terminals.
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
from causerie.data.conversations import Talk, converse
from causerie.data.manifest import Recording, find
from causerie.data.page import page
from causerie.data.process_recording import Tools, Worked, work
from causerie.data.report import Entry, Report
from causerie.data.shards import INDEX, NewTurn, ShardWriter, codec_fingerprint, write_whole
from causerie.data.whisper import Recognizer
from causerie.errors import ConfigError

#: Called before each recording with how many are done, of how many, and its name.
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
        out: made if it is not there; may be one that was begun.
        codec: makes the codes.
        limits: what a turn must keep to be kept.
        recognize: compares transcripts with the sound, and writes missing ones; None for neither.
        recognizer: its name: with another the recordings are worked again.
        language: of the speech: numbers in English transcripts are read as words.
        detect: finds speech; Silero by default.

    Raises:
        ConfigError: there is nothing to prepare, a manifest makes no sense, a package is missing,
            or no turn was kept (the report is there all the same).
    """
    limits = limits or Limits()
    if out.resolve() == folder.resolve():
        raise ConfigError(f"{out} holds the recordings: write into another folder")
    found = find(folder, out, manifest)
    _check_out(out)
    tools = Tools(
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
    kept = WorkCache(out / WORK, settings)
    worked = []
    for done, recording in enumerate(found.recordings):
        on_progress(done, len(found.recordings), recording.name)
        result = kept.read(recording)
        if result is None:
            result = work(recording, tools)
            kept.write(recording, result)
        worked.append((recording, result))
    on_progress(len(worked), len(worked), "writing the shards")
    talks, parted = converse([(recording, result.outcomes) for recording, result in worked])
    _write_shards(out, talks, worked, codec, settings["codec"])
    notes = [*found.notes]
    if recognize is None:
        notes.append("transcripts were not compared with the sound: there was no recogniser")
    report = Report(
        folder=str(folder.resolve()),
        settings=settings,
        entries=tuple(
            Entry(recording=one, outcomes=tuple(it.outcomes), duration_s=it.duration_s)
            for one, it in worked
        ),
        left_out=tuple(found.left_out),
        parted=tuple(parted),
        notes=tuple(notes),
        num_conversations=len(talks),
    )
    write_whole(out / DETAILS, report.to_json().encode())
    write_whole(out / REPORT, page(report, folder.resolve().name).encode())
    kept.forget_others(found.recordings)
    if not talks:
        reasons = ", ".join(f"{n} {kind}" for kind, n in report.dropped_by_reason().items())
        first = report.dropped[0].reasons[0]
        raise ConfigError(
            f"no turn of {folder} was kept ({reasons}; first: {first.detail}); see {out / REPORT}"
        )
    return report


def recordings_of(out: Path) -> Path | None:
    """The folder that a prepared one was made of, by its report; None where that does not say."""
    path = out / DETAILS
    try:
        folder = json.loads(path.read_text("utf-8")).get("folder") if path.is_file() else None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}; prepare the data again") from error
    return None if folder is None else Path(folder)


def _check_out(out: Path) -> None:
    """Raise ConfigError for a folder with things of others in it."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"cannot write into {out}: it is no folder")
    if out.is_dir() and any(out.iterdir()) and not (out / WORK).is_dir():
        raise ConfigError(f"{out} holds other files: write into a new or empty folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write into {out}: {error.strerror}") from error


def _write_shards(
    out: Path,
    talks: list[Talk],
    worked: list[tuple[Recording, Worked]],
    codec: Mimi,
    fingerprint: Any,
) -> None:
    """Write all shards anew: they are cheap beside the work, and so hold nothing of before."""
    (out / INDEX).unlink(missing_ok=True)  # first: without it the rest does not count
    for path in out.glob(f"{'[0-9]' * 5}.*"):
        path.unlink()
    if not talks:
        return
    codes: dict[str, NDArray[np.int16]] = {one.name: result.codes for one, result in worked}
    writer = ShardWriter(
        out,
        codec=fingerprint,
        num_codebooks=codec.config.num_codebooks,
        frame_rate=codec.config.frame_rate,
    )
    for talk in talks:
        turns = []
        for said in talk.turns:
            outcome, last = said.outcome, said.first_frame + said.outcome.num_frames
            turns.append(
                NewTurn(
                    text=outcome.text,
                    speaker=said.row.speaker,
                    turn=said.number,
                    codes=codes[said.recording.name][said.first_frame : last],
                    source=said.recording.name,
                    start_s=outcome.start_s,
                    end_s=outcome.end_s,
                )
            )
        writer.add(talk.name, turns)
    writer.close()
