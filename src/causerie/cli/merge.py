"""`causerie merge`: an adapter and its base in, a model out."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from causerie.cli.console import progress
from causerie.errors import CheckpointError
from causerie.model_files import check_source


class Layout(str, Enum):
    """The layout of a model's folder."""

    causerie = "causerie"
    transformers = "transformers"


def merge(
    adapter: Annotated[
        str, typer.Argument(help="The adapter: a folder of peft, unsloth or causerie, or a hub id.")
    ],
    out: Annotated[
        Path, typer.Argument(help="The folder to write; it must not exist, or be empty.")
    ],
    base: Annotated[
        str | None,
        typer.Option(
            help="The base, if it is not the one that the adapter names.",
            metavar="MODEL",
            show_default=False,
        ),
    ] = None,
    layout: Annotated[
        Layout, typer.Option(help="transformers: for CsmForConditionalGeneration.from_pretrained.")
    ] = Layout.causerie,
) -> None:
    """Merge a low-rank adapter into its base, and write the model.

    causerie merge my-adapter my-model --base sesame/csm-1b

    The model has the base's tokenizer, codec and voices, and the dtype of the base's weights.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CheckpointError(f"{out} exists and is not an empty folder: name a new one")
    for source in filter(None, (adapter, base)):
        check_source(source)
    with progress(f"loading {adapter}"):
        from causerie.checkpoint import load, save, save_transformers

        checkpoint = load(adapter, dtype=lambda stored: stored, base=base)
    if not checkpoint.base:
        raise CheckpointError(f"{adapter} is a whole model, not an adapter: use it as it is")
    with progress(f"writing {out}"):
        try:
            (save if layout is Layout.causerie else save_transformers)(out, checkpoint)
        except OSError as error:
            raise CheckpointError(f"cannot write {out}: {error.strerror}") from error
    typer.echo(f"wrote {out}: {adapter} merged into {checkpoint.base}")
