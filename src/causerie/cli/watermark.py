"""`causerie watermark`: finds the mark of speech in sound files, and makes keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causerie.cli.console import note, progress
from causerie.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from causerie.audio.audio import Audio
    from causerie.watermark.detect import Detection
    from causerie.watermark.silentcipher import CipherDetection

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
    silentcipher: Annotated[
        Path | None,
        typer.Option(
            help="Seek the message of Sesame's tool instead: the folder of silentcipher's weights "
            "for 44.1 kHz.",
            metavar="FOLDER",
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
    if silentcipher is not None and key is not None:
        raise ConfigError("--silentcipher has no key: give --key or --silentcipher, not both")
    seek = _own_mark(key) if silentcipher is None else _cipher_mark(silentcipher)
    code = 0
    for file in files:
        try:
            with progress(f"looking for the watermark in {file}"):
                from causerie.audio.audio import Audio

                found = seek(Audio.load(file))
        except AudioError as error:
            note(f"causerie: {error}")
            code = 2
            continue
        code = max(code, int(not found.is_marked))
        typer.echo(_json(file, found) if as_json else f"{file}: {_line(found)}")
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


def _own_mark(key: Path | None) -> Callable[[Audio], Detection]:
    """Seeks causerie's own mark."""
    from causerie.watermark.detect import detect
    from causerie.watermark.key import read_key, usual_key

    secret = usual_key() if key is None else read_key(key)
    return lambda audio: detect(audio, secret)


def _cipher_mark(weights: Path) -> Callable[[Audio], CipherDetection]:
    """Seeks the message of Sesame's tool."""
    from causerie.watermark.silentcipher import SilentCipher

    return SilentCipher.load(weights).detect


def _json(file: Path, found: Detection | CipherDetection) -> str:
    fields = {"file": str(file), "marked": found.is_marked, **asdict(found)}
    return json.dumps(fields, ensure_ascii=False, default=bytes.hex)


def _line(found: Detection | CipherDetection) -> str:
    from causerie.watermark.detect import Detection

    if not isinstance(found, Detection):
        return _cipher_line(found)
    chance = f"p {found.p:.1g}"
    if not found.is_marked:
        return f"not marked · {chance}"
    parts = ["marked", chance, f"payload {found.payload}"]
    parts += [
        f"{one.start_s:.1f} to {one.end_s:.1f} s"
        + (f" (payload {one.payload})" if one.payload != found.payload else "")
        for one in found.segments
    ]
    if found.speed != 1:
        parts.append(f"at {found.speed:g} × its speed, {found.pitch:g} × its pitch")
    return " · ".join(parts)


def _cipher_line(found: CipherDetection) -> str:
    if found.is_marked:
        return f"marked by silentcipher · {found.confidence:.0%} agree"
    if found.message is None:
        return "not marked by silentcipher"
    return (
        f"not marked by silentcipher with Sesame's message, but perhaps with {found.message.hex()} "
        f"· {found.confidence:.0%} agree"
    )
