"""What is to be measured, checked before anything is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, get_args

import torch

from causerie.bench.peers import NAMES
from causerie.bench.subjects import SUBJECTS
from causerie.engine.runners.choose import Kernels
from causerie.errors import ConfigError
from causerie.native import library

#: What can be measured, in this order.
MEASURES = ("frame", "context", "streams", "prefill", "first-sound", "codec", "memory")
#: Of ours: see `new_runner`.
KERNELS = get_args(Kernels)[1:]
#: Formats, by their names and by those that people use.
FORMATS = {
    "float32": "float32", "fp32": "float32", "bfloat16": "bfloat16", "bf16": "bfloat16",
    "int8": "int8", "int4": "int4",
}  # fmt: skip


#: One of ours: kernels, and formats of backbone and depth decoder.
Contestant: TypeAlias = "tuple[Kernels, tuple[str, str]]"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured.

    Attributes:
        formats: pairs, of backbone and depth decoder, for native kernels; the model's own for all
            others.
        kernels: of ours.
        measures: some of `MEASURES`.
        streams: numbers of them, for "streams".
        contexts: rows, for "context".
        frames: of a round.
        sounds: first sounds of each kind.
        threads: of all that computes; 0: as torch has it.

    Raises:
        ConfigError: something means nothing.
    """

    subject: str
    formats: tuple[tuple[str, str], ...]
    kernels: tuple[Kernels, ...]
    peers: tuple[str, ...] = ()
    measures: tuple[str, ...] = MEASURES
    streams: tuple[int, ...] = (1, 2, 4, 8)
    contexts: tuple[int, ...] = (100, 500, 1000, 1900)
    prefill_rows: int = 1000
    frames: int = 8
    rounds: int = 5
    sounds: int = 20
    threads: int = 0

    def __post_init__(self) -> None:
        for what, names, known in (
            ("subject", (self.subject,), SUBJECTS),
            ("peer", self.peers, NAMES),
            ("measure", self.measures, MEASURES),
        ):
            unknown = [name for name in names if name not in known]
            if unknown:
                raise ConfigError(f"no {what} {', '.join(unknown)}: {', '.join(known)}")
        if not self.kernels or not self.measures:
            raise ConfigError(f"nothing to measure: {', '.join(MEASURES)}, {', '.join(KERNELS)}")
        numbers = (*self.streams, self.frames, self.rounds, self.sounds)
        if not self.streams or min(numbers) < 1 or self.threads < 0:
            raise ConfigError("streams, frames, rounds and sounds must be 1 or more")
        if not self.contexts or min(*self.contexts, self.prefill_rows) < 2:
            raise ConfigError("contexts and prompts must have 2 rows or more")

    @property
    def dtype(self) -> torch.dtype:
        """Of the model: csm-1b is published in bf16."""
        return torch.bfloat16 if self.subject == "csm-1b" else torch.float32

    @property
    def contestants(self) -> list[Contestant]:
        """Ours: kernels and formats."""
        exact = str(self.dtype).removeprefix("torch.")
        return [
            (kernels, pair)
            for kernels in self.kernels
            for pair in (self.formats if kernels == "native" else ((exact, exact),))
        ]


def parse_formats(text: str) -> tuple[tuple[str, str], ...]:
    """The pairs of a list such as "bf16,int8,bf16+int4".

    Raises:
        ConfigError: a format is unknown.
    """
    pairs = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        names = item.split("+")
        if len(names) > 2 or any(name not in FORMATS for name in names):
            raise ConfigError(f"no format {item!r}: {', '.join(FORMATS)}, or two such as bf16+int4")
        pairs.append((FORMATS[names[0]], FORMATS[names[-1]]))
    if not pairs:
        raise ConfigError("no format is given: name some, such as bf16,int8,bf16+int4")
    return tuple(pairs)


def default_formats(subject: str) -> str:
    """What is measured where nothing else is said."""
    return "bf16,int8,bf16+int4,int8+int4,int4" if subject == "csm-1b" else "fp32"


def default_kernels() -> tuple[Kernels, ...]:
    """The fastest of ours that is there."""
    return ("plain",) if library.problem() else ("native",)


def parse_kernels(text: str) -> tuple[Kernels, ...]:
    """Those of a list such as "native,plain".

    Raises:
        ConfigError: one is unknown.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    found = tuple(kernels for name in names for kernels in KERNELS if kernels == name)
    if not found or len(found) < len(names):
        raise ConfigError(f"kernels are some of {', '.join(KERNELS)}, not {text!r}")
    return found
