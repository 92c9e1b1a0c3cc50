"""Runs a preparation with a tiny codec, a detector and a listener that need no packages."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from unittest import mock

from causerie.data import prepare as module
from causerie.data.checks import Limits
from causerie.data.prepare import OnProgress, prepare
from causerie.data.report import Report
from causerie.data.shards import ShardWriter
from causerie.recognition.whisper import Recognizer
from tests.data import speech


def run(
    folder: Path,
    out: Path,
    *,
    recognize: Recognizer | None = speech.hear,
    limits: Limits | None = None,
    manifest: Path | None = None,
    on_progress: OnProgress = lambda done, total, name: None,
) -> Report:
    """Shards of 2 seconds, so that there are several."""
    small = partial(ShardWriter, frames_per_shard=25)
    with mock.patch.object(module, "ShardWriter", small):
        return prepare(
            folder,
            out,
            codec=speech.CODEC,
            limits=limits,
            recognize=recognize,
            recognizer="tones",
            manifest=manifest,
            detect=speech.detect,
            on_progress=on_progress,
        )
