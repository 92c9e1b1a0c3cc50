"""`causerie narrate`: documents in, audiobooks with chapters and subtitles out."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causerie.cli.console import note, progress
from causerie.cli.options import (
    AsJson,
    Device,
    Dtype,
    Fast,
    Guard,
    LexiconFile,
    Model,
    Normalize,
    NoWatermark,
    Speed,
    Temperature,
    TopK,
    Verify,
    VoiceName,
    WatermarkKey,
    WeightFormat,
    check_folder,
    check_normalize,
    check_verify,
    check_voice,
    chosen_watermark,
    known_voices,
    load_lexicon,
)
from causerie.cli.progress import duration, show_progress
from causerie.errors import AudioError, ConfigError
from causerie.extras import need
from causerie.model_files import check_source

if TYPE_CHECKING:
    from causerie.narrate.document import Document
    from causerie.narrate.run import Narration

#: Notes that are printed; --json has all of them.
MAX_NOTES = 20
#: As in `causerie.audio.book`, which imports numpy.
FORMATS = ("m4b", "m4a", "mp3", "opus", "flac", "wav")
SUBTITLES = ("srt", "vtt", "json")


def narrate(
    file: Annotated[
        Path, typer.Argument(help="A .txt, .md, .html or .epub file.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER|FILE",
            help="A folder for one file per chapter, or one .m4b, .m4a or .mp3 file with chapters, "
            "or one .opus, .flac or .wav file. Default: a folder named like the document.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="Format of the files in a folder: mp3 (default), m4b, m4a, opus, flac or wav.",
            show_default=False,
        ),
    ] = None,
    chapters: Annotated[
        str | None,
        typer.Option(metavar="RANGES", help='Only these chapters, such as "2-5", "1,3" or "4-".'),
    ] = None,
    list_only: Annotated[
        bool,
        typer.Option("--list", help="List the chapters and their estimated durations, and end."),
    ] = False,
    subtitle: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMAT",
            help="Also write the times of the words: srt, vtt or json. May be repeated.",
            show_default=False,
        ),
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="Title of the book, instead of the document's.")
    ] = None,
    author: Annotated[
        str | None, typer.Option(help="Author of the book, instead of the document's.")
    ] = None,
    voice: VoiceName = None,
    model: Model = "petit",
    device: Device = "auto",
    dtype: Dtype = "auto",
    backbone_format: WeightFormat = "auto",
    depth_format: WeightFormat = "auto",
    fast: Fast = False,
    temperature: Temperature = None,
    top_k: TopK = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same samples.")] = 0,
    guard: Guard = "auto",
    verify: Verify = False,
    speed: Speed = 1.0,
    lexicon: LexiconFile = None,
    normalize: Normalize = "on",
    no_watermark: NoWatermark = False,
    watermark_key: WatermarkKey = None,
    as_json: AsJson = False,
) -> None:
    """Speak a document, chapter by chapter. An interrupted run goes on when it is run again.

    causerie narrate book.epub -o book.m4b --subtitle srt
    """
    from causerie.narrate.document import chosen_chapters, read_document

    document = read_document(file)
    document = replace(document, title=title or document.title, author=author or document.author)
    every = range(len(document.chapters))
    chosen = list(every) if chapters is None else chosen_chapters(chapters, len(every))
    if list_only:
        _list(document, chosen, as_json=as_json)
        return
    formats = _subtitle_formats(subtitle)
    check_normalize(normalize)
    check_verify(verify)
    check_source(model)
    check_voice(voice, model)
    pronunciations = load_lexicon(lexicon)
    watermark = chosen_watermark(no_watermark, watermark_key)
    where, extension, in_one_file = _target(output, format, file)  # makes a folder
    with progress(f"loading {model}"):
        from causerie import __version__
        from causerie.narrate.run import narrate as run
        from causerie.tts import TTS

        tts = TTS.from_pretrained(
            model,
            device=device,
            dtype=dtype,
            backbone_format=backbone_format,
            depth_format=depth_format,
            fast=fast,
            watermark=watermark,
        )
    settings = {
        "voice": voice, "temperature": temperature, "top_k": top_k, "seed": seed, "guard": guard,
        "verify": verify, "speed": speed, "lexicon": pronunciations, "normalize": normalize,
    }  # fmt: skip
    identity = [__version__, model, _voice_identity(voice, model)]
    identity += [_contents(lexicon) if lexicon else "", guard, str(speed), normalize]
    identity += ["verify"] if verify else []
    identity += ["fast"] if fast else []
    identity.append("" if tts.watermark is None else tts.watermark.key.hex())
    identity += map(str, (device, dtype, backbone_format, depth_format, temperature, top_k, seed))
    try:
        with show_progress() as shown:
            result = run(
                document,
                chosen,
                tts,
                where,
                format=extension,
                in_one_file=in_one_file,
                formats=formats,
                speaking=settings,
                identity=identity,
                on_progress=shown,
            )
    except KeyboardInterrupt:
        note("finished parts are kept: run the same command again to go on")
        raise
    _report(document, result, as_json=as_json)


def _target(output: Path | None, format: str | None, document: Path) -> tuple[Path, str, bool]:
    """The file or the folder to write, the extension of the audio, and whether it is one file.

    Raises:
        ConfigError: the format is unknown, needs a package, or contradicts the file.
        AudioError: the place cannot be written.
    """
    given = output.suffix[1:].lower() if output is not None and not output.is_dir() else ""
    one = given in FORMATS
    if given and not one and len(given) <= 4 and given.isalnum() and not given.isdigit():
        raise AudioError(
            f"cannot write {output}: .{given} extension; use one of "
            f"{', '.join(f'.{name}' for name in FORMATS)}, or a folder"
        )
    if one and format not in (None, given):
        raise ConfigError(f"--format {format} contradicts -o {output}: leave one of them out")
    extension = given if one else format or "mp3"
    if extension not in FORMATS:
        raise ConfigError(f"format {extension!r} is unknown: use one of {', '.join(FORMATS)}")
    if extension not in ("flac", "wav"):
        need("av", "narrate")
    where = output or Path(document.stem)
    if one:
        check_folder(where)
        return where, extension, True
    try:
        where.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AudioError(
            f"cannot make the folder {where} ({error.strerror}): give another by -o"
        ) from error
    check_folder(where / "file")
    return where, extension, False


def _subtitle_formats(given: list[str] | None) -> list[str]:
    """The formats of subtitles, each once.

    Raises:
        ConfigError: one of them is unknown.
    """
    formats = list(dict.fromkeys(part for item in given or () for part in item.split(",")))
    for format in formats:
        if format not in SUBTITLES:
            raise ConfigError(
                f"subtitles {format!r} are unknown: use one of {', '.join(SUBTITLES)}"
            )
    return formats


def _voice_identity(voice: str | None, model: str) -> str:
    """What identifies a voice: the contents of its file, else its name."""
    files = known_voices(model) or {}
    path = files.get(voice) if voice in files else voice
    return _contents(Path(path)) if path is not None and os.path.isfile(path) else str(voice)


def _contents(path: Path) -> str:
    """What identifies the contents of a file."""
    return hashlib.blake2b(path.read_bytes(), digest_size=12).hexdigest()


def _list(document: Document, chosen: list[int], *, as_json: bool) -> None:
    """Print the chapters, and how long they will last at an ordinary pace."""
    from causerie.text.split import CHARS_A_SECOND

    rows = []
    for index in chosen:
        chapter = document.chapters[index]
        chars = len(chapter.heading) + len(chapter.text)
        rows.append((index + 1, chapter.title, chars, chars / CHARS_A_SECOND))
    if as_json:
        listed = [
            {"number": number, "title": title, "characters": chars, "seconds": round(seconds)}
            for number, title, chars, seconds in rows
        ]
        facts = {"title": document.title, "author": document.author, "chapters": listed}
        typer.echo(json.dumps(facts | {"notes": document.notes}, ensure_ascii=False))
        return
    by = f", by {document.author}" if document.author else ""
    typer.echo(f"{document.title}{by}")
    for number, title, _, seconds in rows:
        typer.echo(f"{number:4}  {duration(seconds):>7}  {title}")
    total = duration(sum(seconds for *_, seconds in rows))
    typer.echo(f"{len(rows)} chapters, about {total} of speech")
    _print_notes(list(document.notes))


def _report(document: Document, result: Narration, *, as_json: bool) -> None:
    notes = [*document.notes, *result.notes]
    if as_json:
        facts = {
            "title": document.title,
            "author": document.author,
            "seconds": round(result.seconds, 3),
            "files": [str(path) for path in result.files],
            "chapters": [
                {
                    "title": chapter.title,
                    "file": str(chapter.file),
                    "start": round(chapter.start_s, 3),
                    "end": round(chapter.end_s, 3),
                }
                for chapter in result.chapters
            ],
            "notes": notes,
        }
        if result.checks:
            facts["checks"] = [asdict(check) for check in result.checks]
        typer.echo(json.dumps(facts, ensure_ascii=False))
        return
    for path in result.files:
        typer.echo(f"wrote {path}")
    number = len(result.chapters)
    chapters = "chapter" if number == 1 else "chapters"
    typer.echo(f"{number} {chapters} · {duration(result.seconds)} of speech")
    _print_notes(notes)


def _print_notes(notes: list[str]) -> None:
    for line in notes[:MAX_NOTES]:
        note(line)
    if len(notes) > MAX_NOTES:
        note(f"and {len(notes) - MAX_NOTES} more notes, which --json lists")
