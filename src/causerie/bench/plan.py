"""The plan of a benchmark, checked before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, get_args

import torch

from causerie.bench.subjects import SUBJECTS
from causerie.engine.runners.choose import Kernels
from causerie.errors import ConfigError
from causerie.native import library

#: All measures, in the order in which they run.
MEASURES = ("frame", "context", "streams", "prefill", "first-sound", "codec", "memory")
#: Kernels of causerie; see `new_runner`.
KERNELS = get_args(Kernels)[1:]
#: Weight formats by their long and short names.
FORMATS = {
    "float32": "float32", "fp32": "float32", "bfloat16": "bfloat16", "bf16": "bfloat16",
    "int8": "int8", "int5": "int5", "int4": "int4",
}  # fmt: skip


#: Kernels, and the weight formats of backbone and depth decoder.
Variant: TypeAlias = "tuple[Kernels, tuple[str, str]]"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The measurements of a benchmark.

    Attributes:
        formats: pairs of weight formats (backbone, depth decoder) for the native kernels; other
            kernels use the model's own.
        kernels: kernels of causerie.
        peers: names of other implementations; see `run.Comparison`.
        measures: some of `MEASURES`.
        streams: numbers of streams, for "streams".
        contexts: numbers of rows, for "context".
        prefill_rows: rows of the prompt, for "prefill".
        frames: frames per round.
        sounds: first sounds of each kind.
        threads: number of threads; 0 for torch's default.

    Raises:
        ConfigError: a value is invalid.
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
        """The dtype of the model: csm-1b is published in bf16."""
        return torch.bfloat16 if self.subject == "csm-1b" else torch.float32

    @property
    def variants(self) -> list[Variant]:
        """The variants of causerie to measure."""
        exact = str(self.dtype).removeprefix("torch.")
        return [
            (kernels, pair)
            for kernels in self.kernels
            for pair in (self.formats if kernels == "native" else ((exact, exact),))
        ]


def parse_formats(text: str) -> tuple[tuple[str, str], ...]:
    """Parse pairs of formats from a list such as "bf16,int8,bf16+int4".

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
        raise ConfigError("no formats: give some, such as bf16,int8,bf16+int4")
    return tuple(pairs)


def default_formats(subject: str) -> str:
    """The default of `--formats`."""
    return "bf16,int8,bf16+int4,int8+int4,int5+int4,int4" if subject == "csm-1b" else "fp32"


def default_kernels() -> tuple[Kernels, ...]:
    """The fastest kernels available."""
    return ("plain",) if library.problem() else ("native",)


def parse_kernels(text: str) -> tuple[Kernels, ...]:
    """Parse kernels from a list such as "native,plain".

    Raises:
        ConfigError: a name is unknown.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    found = tuple(kernels for name in names for kernels in KERNELS if kernels == name)
    if not found or len(found) < len(names):
        raise ConfigError(f"no kernels {text!r}: give some of {', '.join(KERNELS)}")
    return found
