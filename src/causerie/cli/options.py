"""Options that more than one command has."""

from __future__ import annotations

from typing import Annotated

import typer

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
