"""`causerie watermark`: finds the mark of speech in sound files, and makes keys."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causerie.cli.console import note, progress
from causerie.errors import AudioError

if TYPE_CHECKING:
    from causerie.watermark.detect import Detection

app = typer.Typer(help="Find the watermark in sound files, and make keys.", no_args_is_help=True)


@app.command()
def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Sound files of any format.")
    ],
    key: Annotated[
        Path | None,
        typer.Option(
            help="Key whose mark is sought. Default: the file in CAUSERIE_WATERMARK_KEY, or else "
            "causerie's public key.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON for each file.")
    ] = False,
) -> None:
    """Say whether sound files are marked as generated, and where.

    Exit code 0: all are. 1: some are not. 2: a file cannot be read.

    causerie watermark check hello.mp3
    """
    from causerie.watermark.key import read_key, usual_key

    secret = usual_key() if key is None else read_key(key)
    code = 0
    for file in files:
        try:
            with progress(f"looking for the watermark in {file}"):
                from causerie.audio.audio import Audio
                from causerie.watermark.detect import detect

                found = detect(Audio.load(file), secret)
        except AudioError as error:
            note(f"causerie: {error}")
            code = 2
            continue
        code = max(code, int(not found.is_marked))
        typer.echo(_json(file, found) if as_json else _line(file, found))
    if code:
        raise typer.Exit(code)


@app.command()
def new_key(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist yet.")],
) -> None:
    """Make a key of your own: keep it secret, and keep it.

    causerie watermark new-key my.key
    """
    from causerie.watermark import key

    key.write_key(file, key.new_key())
    typer.echo(f"wrote {file} · mark with it: --watermark-key {file} or {key.KEY_VARIABLE}={file}")


def _json(file: Path, found: Detection) -> str:
    return json.dumps(
        {"file": str(file), "marked": found.is_marked, **asdict(found)}, ensure_ascii=False
    )


def _line(file: Path, found: Detection) -> str:
    chance = f"p {found.p:.1g}"
    if not found.is_marked:
        return f"{file}: not marked · {chance}"
    parts = [f"{file}: marked", chance, f"payload {found.payload}"]
    parts += [
        f"{one.start_s:.1f} to {one.end_s:.1f} s"
        + (f" (payload {one.payload})" if one.payload != found.payload else "")
        for one in found.segments
    ]
    if found.speed != 1:
        parts.append(f"at {found.speed:g} × its speed, {found.pitch:g} × its pitch")
    return " · ".join(parts)
