"""`causerie eval`: measure the quality of a model's speech."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causerie.cli.console import progress
from causerie.cli.options import Device
from causerie.errors import AudioError

if TYPE_CHECKING:
    from causerie.audio.audio import Audio
    from causerie.evaluate.run import OnProgress

SOUNDS = (".wav", ".flac", ".ogg", ".mp3")


def evaluate(
    model: Annotated[
        str, typer.Argument(help="petit, a folder or file, or a hub id.", metavar="MODEL")
    ],
    sentences: Annotated[
        Path | None,
        typer.Option(help="Text file, one sentence per line. Default: 100 everyday sentences."),
    ] = None,
    voices: Annotated[
        str | None,
        typer.Option(help="Voices, separated by commas, which take turns. Default: all."),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(help="Number of utterances; sentences repeat. Default: one of each."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the first utterance.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for report.json, report.html and the samples."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            help="Metrics, separated by commas: wer, similarity, dnsmos, stopping, duration, "
            "silence, repetition, speed, codec, homographs, consistency, adaptation. Default: all."
        ),
    ] = None,
    recordings: Annotated[
        Path | None,
        typer.Option(help="Sound file or folder for the metric codec."),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(help="Sound file or folder to compare voices with, instead of prompts."),
    ] = None,
    device: Device = "auto",
    threads: Annotated[int, typer.Option(help="Threads of the recognizer; 0 for all.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Synthesise test sentences and score them.

    causerie eval petit --count 20 --only wer,stopping,speed
    """
    from causerie.evaluate.run import check_metrics
    from causerie.evaluate.sentences import HELD_OUT, read_sentences

    chosen = _listed(only)
    check_metrics(chosen, has_recordings=recordings is not None)
    texts = read_sentences(sentences or HELD_OUT)
    with _progress(f"loading {model}") as on_progress:
        from causerie.evaluate.run import evaluate
        from causerie.evaluate.tools import Tools
        from causerie.tts import TTS
        from causerie.voices import find_voice

        tts = TTS.from_pretrained(model, device=device)
        names = _listed(voices) or tts.voices or ["0"]
        speakers = [find_voice(name, tts.checkpoint.voices) for name in names]
        targets = _sounds(like) if like is not None else []
        report = evaluate(
            tts,
            texts,
            voices=speakers,
            count=count,
            seed=seed,
            only=chosen,
            out=out,
            recordings=_sounds(recordings) if recordings is not None else [],
            like={speaker.name: targets for speaker in speakers},
            tools=Tools(threads=threads),
            on_progress=on_progress,
        )
    typer.echo(report.to_json() if as_json else "\n".join(report.lines()), nl=not as_json)
    if out is not None:
        typer.echo(f"wrote {out / 'report.html'}", err=True)


@contextmanager
def _progress(message: str) -> Iterator[OnProgress]:
    """Show the progress on a terminal."""
    with progress(message) as show:

        def on_progress(what: str, done: int, total: int) -> None:
            show(f"{what} … {done} of {total}" if total > 1 else f"{what} …")

        yield on_progress


def _listed(names: str | None) -> list[str] | None:
    return None if names is None else [name.strip() for name in names.split(",") if name.strip()]


def _sounds(path: Path) -> list[Audio]:
    """Read one sound file, or all in a folder by name.

    Raises:
        AudioError: there is none, or one cannot be read.
    """
    from causerie.audio.audio import Audio

    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in SOUNDS)
    if not files:
        raise AudioError(f"{path} has no sound file ({', '.join(SOUNDS)})")
    return [Audio.load(file) for file in files]
