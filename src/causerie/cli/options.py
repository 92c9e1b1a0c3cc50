"""Options that more than one command has, and what is checked of them before any work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from causerie.errors import AudioError

Model = Annotated[
    str,
    typer.Option(
        help="petit (comes with causerie), a folder or file, or a hub id such as sesame/csm-1b.",
        metavar="NAME",
    ),
]
Device = Annotated[
    str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps; auto takes the fastest.")
]
WeightFormat = Annotated[
    str,
    typer.Option(
        help="auto, int8 or int4: smaller and faster weights, which cost quality; on a cpu.",
        metavar="FORMAT",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value, such as recipe.lr=1e-4."),
]


def check_folder(output: str | os.PathLike[str]) -> None:
    """Raise AudioError where a file cannot be written for want of its folder."""
    path = Path(output)
    if not path.parent.is_dir():
        raise AudioError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise AudioError(f"cannot write {path}: it is a folder")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise AudioError(f"cannot write {path}: permission denied")
