"""Results of a benchmark, and their JSON lines."""

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
    """The machine and date of a run.

    Attributes:
        commit: commit of the code; empty outside a repository.
        bandwidth_gb_s: memory bandwidth of all threads, if the run measured it.
    """

    date: str
    processor: str
    threads: int
    commit: str
    bandwidth_gb_s: float | None


@dataclass(frozen=True, kw_only=True)
class Result:
    """One measured time, with its spread.

    Attributes:
        measure: one of `plan.MEASURES`; "context" and "streams" are times of frames too.
        rows: rows in the KV cache before the frame, or rows of the prefill.
        voice: voice of a first sound: "none", "new" or "kept" (its rows are in the prefix store).
        codec_included: whether the time includes decoding the codes to audio.
        ms: the median; min, max and p95 (the 95th percentile) show the spread.
        count: number of measurements.
        ms_per_frame, rtf: None unless one frame of each stream is measured.
        floor_ms: time to read the weights and the KV cache at the measured bandwidth, if it was
            measured.
        memory_gb: peak memory of a process that runs this implementation alone.
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
        """The result of several measurements.

        Args:
            frame_ms: duration of a frame, if each time is that of one frame.
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


def percentile(values: Sequence[float], fraction: float) -> float:
    """The smallest value that at least this fraction of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-fraction * len(ordered) // 1) - 1)]


def to_line(result: Result, machine: Machine) -> str:
    """A result and its machine as one JSON object."""
    return json.dumps(_rounded(dataclasses.asdict(result) | dataclasses.asdict(machine)))


def from_lines(lines: Iterable[str]) -> tuple[list[Result], list[Machine]]:
    """Read lines that `to_line` wrote, in one run or several.

    Raises:
        ConfigError: a line is something else.
    """
    results, machines = list[Result](), list[Machine]()
    names = {kind: {f.name for f in dataclasses.fields(kind)} for kind in (Result, Machine)}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            results.append(Result(**{name: values[name] for name in names[Result]}))
            machine = Machine(**{name: values[name] for name in names[Machine]})
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(
                f"line {number} is not a result of causerie bench: {error}"
            ) from error
        if machine not in machines:
            machines.append(machine)
    return results, machines


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: float(f"{value:.5g}") if isinstance(value, float) else value
        for name, value in values.items()
    }
