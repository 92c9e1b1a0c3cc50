"""What a benchmark finds, as lines of JSON. Knows nothing of how it was found."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from causerie.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where and when a run took place.

    Attributes:
        bandwidth_gb_s: of reading memory by all threads, measured in the run.
        commit: of the code; empty outside of a repository.
    """

    date: str
    processor: str
    threads: int
    commit: str
    bandwidth_gb_s: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """One figure, with its spread.

    Attributes:
        measure: "frame", "context" and "streams" (frames too), "prefill", "first-sound", "codec".
        rows: positions that the backbone has read before, or reads in a prefill.
        voice: of a first sound: "none", "new" (its rows are read) or "kept" (they are there).
        codec_included: whether the time is that of sound, or of codes.
        ms: the median, between min and max; p95 is the 95th percentile.
        count: how often it was measured.
        ms_per_frame, rtf: where what is measured is a frame of each stream; else None.
        floor_ms: time that reading the weights and the cache takes at the measured bandwidth.
        memory_gb: the most that a process with this implementation alone held.
    """

    measure: str
    implementation: str
    subject: str
    backbone_format: str
    depth_format: str
    streams: int
    rows: int
    voice: str | None
    codec_included: bool
    ms: float
    min: float
    max: float
    p95: float
    count: int
    ms_per_frame: float | None
    rtf: float | None
    floor_ms: float | None
    memory_gb: float | None

    @classmethod
    def of(
        cls,
        times_ms: Sequence[float],
        *,
        frame_ms: float | None = None,
        voice: str | None = None,
        floor_ms: float | None = None,
        memory_gb: float | None = None,
        **what: Any,
    ) -> Result:
        """The result of some times.

        Args:
            frame_ms: duration of a frame, where each time is that of making one.
        """
        median = statistics.median(times_ms)
        return cls(
            **what,
            voice=voice,
            ms=median,
            min=min(times_ms),
            max=max(times_ms),
            p95=percentile(times_ms, 0.95),
            count=len(times_ms),
            ms_per_frame=None if frame_ms is None else median,
            rtf=None if frame_ms is None else median / frame_ms,
            floor_ms=floor_ms,
            memory_gb=memory_gb,
        )


def percentile(values: Sequence[float], part: float) -> float:
    """The least value that is not exceeded by such a part of them."""
    ordered = sorted(values)
    return ordered[max(0, -int(-part * len(ordered) // 1) - 1)]


def to_line(result: Result, machine: Machine) -> str:
    """A JSON object with all about a result and its machine."""
    return json.dumps(_rounded(dataclasses.asdict(result) | dataclasses.asdict(machine)))


def from_lines(lines: Iterable[str]) -> tuple[list[Result], list[Machine]]:
    """What `to_line` wrote; lines may come from several runs.

    Raises:
        ConfigError: they are something else.
    """
    results, machines = list[Result](), list[Machine]()
    names = {kind: {f.name for f in dataclasses.fields(kind)} for kind in (Result, Machine)}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith('{"way"'):  # a check of benchmarks/gpu.py
            continue
        try:
            values = json.loads(line)
            results.append(Result(**{name: values[name] for name in names[Result]}))
            machine = Machine(**{name: values[name] for name in names[Machine]})
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(
                f"line {number} is none that causerie bench wrote: {error}"
            ) from error
        if machine not in machines:
            machines.append(machine)
    return results, machines


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: float(f"{value:.5g}") if isinstance(value, float) else value
        for name, value in values.items()
    }
