"""`causerie read`: shows what will be said, without saying it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causerie.cli.console import note
from causerie.cli.options import LexiconFile, Model, Normalize, check_normalize
from causerie.cli.text import Text, TextFile, read_text
from causerie.model_files import check_source, read_json
from causerie.voice_file import BUNDLED

if TYPE_CHECKING:
    from causerie.text.front_end import FrontEnd


def read(
    text: Text = None,
    file: TextFile = None,
    model: Model = "petit",
    lexicon: LexiconFile = None,
    normalize: Normalize = "on",
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one object: words, phonemes (or the text that the model reads), skipped, "
            "pieces, pauses.",
        ),
    ] = False,
) -> None:
    """Show how a text is read: its words, and the model's input.

    causerie read "It costs $5-10."
    """
    from causerie.text.front_end import ReadingOptions
    from causerie.text.lexicon import read_lexicon
    from causerie.text.reading import read as read_words

    check_normalize(normalize)
    options = ReadingOptions(lexicon=read_lexicon(lexicon), normalize=normalize == "on")
    found = read_words(read_text(text, file, "read"), _front_end(model), options)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), ensure_ascii=False))
        return
    typer.echo(found.words)
    typer.echo(found.text if found.phonemes is None else found.phonemes)
    for pause in found.pauses:
        note(f"pause: {pause.seconds:g} s after piece {pause.after_piece}")
    for part in found.skipped:
        note(f"skipped: {part.text!r}: {part.reason}")


def _front_end(model: str) -> FrontEnd:
    """The front end of a model, whose weights are not read."""
    check_source(model)
    from causerie.text.front_end import FrontEnd

    if model == "petit":
        return FrontEnd.load("phonemes", BUNDLED)
    path = Path(model).expanduser()
    if not path.exists():  # a hub id
        from causerie.checkpoint.locate import locate

        path = locate(model)
    folder = path if path.is_dir() else path.parent
    config = folder / "config.json"
    values = read_json(config) if config.is_file() else {}
    kind = values.get("front_end", "plain") if values.get("format") == "causerie" else "plain"
    return FrontEnd.load(kind, folder, tags=values.get("tags", ()))
