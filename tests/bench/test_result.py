"""Figures: their spread, their lines, their tables."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from causerie.bench.result import Machine, Result, from_lines, percentile, to_line
from causerie.bench.table import tables, to_markdown, where
from causerie.errors import ConfigError

MACHINE = Machine(
    date="2026-01-02", processor="Abacus, 2 cores", threads=2, commit="abc1234", bandwidth_gb_s=40.0
)


def frame(times: list[float], **changes: Any) -> Result:
    what: dict[str, Any] = {
        "measure": "frame", "implementation": "causerie native", "subject": "csm-1b",
        "backbone_format": "bfloat16", "depth_format": "int4", "streams": 1, "rows": 100,
        "codec_included": False, "floor_ms": 50.0, "frame_ms": 80.0,
    }  # fmt: skip
    return Result.of(times, **(what | changes))


@pytest.mark.parametrize(
    ("values", "part", "expected"),
    [([5.0], 0.95, 5), ([3.0, 1.0, 2.0], 0.5, 2), (list(map(float, range(1, 101))), 0.95, 95)],
)
def test_percentile(values: list[float], part: float, expected: float) -> None:
    assert percentile(values, part) == expected


def test_a_result_has_the_median_and_its_spread() -> None:
    result = frame([120.0, 80.0, 90.0])
    assert (result.ms, result.min, result.max, result.p95, result.count) == (90, 80, 120, 120, 3)
    assert result.ms_per_frame == 90
    assert result.rtf == pytest.approx(90 / 80)


def test_a_line_has_all_documented_fields() -> None:
    line = json.loads(to_line(frame([90.0]), MACHINE))
    assert {
        "implementation", "subject", "backbone_format", "depth_format", "streams",
        "codec_included", "ms_per_frame", "min", "max", "rtf", "floor_ms", "bandwidth_gb_s",
        "date", "processor", "commit",
    } <= line.keys()  # fmt: skip


def test_lines_are_read_again() -> None:
    results = [frame([80.0, 120.0]), frame([8.0], measure="prefill", frame_ms=None)]
    lines = [to_line(result, MACHINE) for result in results]
    assert from_lines([*lines, ""]) == (results, [MACHINE])


@pytest.mark.parametrize("line", ["{", "[]", '{"measure": "frame"}'])
def test_other_lines_are_refused(line: str) -> None:
    with pytest.raises(ConfigError, match="line 1 is not a result"):
        from_lines([line])


def test_tables() -> None:
    results = [
        frame([90.0]),
        frame([100.0], codec_included=True),
        frame([900.0], implementation="transformers", depth_format="bfloat16", floor_ms=240.0),
        frame([906.0], implementation="transformers", depth_format="bfloat16", codec_included=True),
        frame([1.0, 3.0], measure="prefill", rows=1000, frame_ms=None),
        frame([200.0], measure="streams", streams=4, codec_included=True),
        frame([150.0], measure="streams", streams=2, codec_included=True),
        frame([30.0], measure="first-sound", voice="kept", codec_included=True, frame_ms=None),
    ]
    found = {table.title: table for table in tables(results)}
    one = found["csm-1b: a frame of one stream after 100 rows"]
    assert one.rows[0][:3] == ["causerie native bf16+int4", "90.0 (90.0 … 90.0)", "1.8"]
    assert one.rows[1][0] == "transformers bf16"
    (streams,) = (table for title, table in found.items() if "all streams" in title)
    assert streams.header == ["", "2", "4"]
    assert streams.rows == [["causerie native bf16+int4", "150", "200"]]
    text = to_markdown(results, [MACHINE])
    assert "| causerie native bf16+int4 | 1.0 (1.0 … 3.0) |" not in text  # the median is 2
    assert "| causerie native bf16+int4 | 2.0 (1.0 … 3.0) |" in text
    assert (
        "2026-01-02: Abacus, 2 cores, 2 threads, memory bandwidth 40 GB/s, commit abc1234" in text
    )
    widths = {line.count("|") for table in text.split("\n\n") for line in table.splitlines()}
    assert widths <= {0, 3, 4, 7}


def test_without_a_floor_there_is_no_column_for_it() -> None:
    machine = dataclasses.replace(MACHINE, bandwidth_gb_s=None)
    results = [frame([9.0], floor_ms=None, codec_included=codec) for codec in (False, True)]
    (table,) = tables(results)
    assert "times the floor" not in table.header
    assert len(table.rows[0]) == len(table.header)
    assert where([machine]) == ["on 2026-01-02: Abacus, 2 cores, 2 threads, commit abc1234"]


def test_runs_of_one_machine_share_a_line() -> None:
    faster = dataclasses.replace(MACHINE, bandwidth_gb_s=44.0)
    other = dataclasses.replace(MACHINE, threads=1)
    first, second = where([MACHINE, faster, other])
    assert "memory bandwidth 40 to 44 GB/s" in first
    assert "1 threads, memory bandwidth 40 GB/s" in second
