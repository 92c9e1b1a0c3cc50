"""The lines of `benchmarks/gpu.py` as a table and a plot, beside an earlier run's.

    python benchmarks/gpu_report.py gpu-run/run.jsonl                  prints the table again
    python benchmarks/gpu_report.py new/run.jsonl before/run.jsonl     beside an earlier run

A line has a step, a name, a value and a unit. "ok" is whether a check holds, "floor_gb" the bytes
that a frame reads at least, "status" how a step ended, and "why" the reason.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Line = dict[str, Any]
#: A figure that grew or shrank by less is the same.
SAME = 0.03
#: Values that the plot's panels show.
FRAME, STREAMS, FIRST_SOUND = "codes of a frame", "real time", "first sound"


def read_lines(text: str) -> list[Line]:
    """The lines of a run.

    Raises:
        ValueError: a line is something else.
    """
    lines = []
    for number, part in enumerate(text.splitlines(), 1):
        try:
            line = json.loads(part)
        except ValueError as error:
            raise ValueError(f"line {number} is no JSON: {error}") from error
        if not isinstance(line, dict) or not {"step", "name", "value", "unit"} <= line.keys():
            raise ValueError(f"line {number} is not of gpu.py")
        lines.append(line)
    return lines


def table(lines: Sequence[Line], against: Sequence[Line] | None = None) -> str:
    """A table in Markdown: values, checks, how the steps ended, and what an earlier run had."""
    before = {(line["step"], line["name"]): line for line in against or ()}
    bandwidth = bandwidth_gb_s(lines)
    head = ["step", "what", "value", "times the floor"]
    head += ["before", "now / before"] if against is not None else []
    rows = [head, ["---", "---", "---:", "---:", "---:", "---:"][: len(head)]]
    for line in lines:
        row = [line["step"], line["name"], _value(line), _floors(line, bandwidth)]
        if against is not None:
            row += _compared(line, before.pop((line["step"], line["name"]), None))
        rows.append(row)
    missed = [f"{line['step']}: {line['name']}" for line in before.values()]
    text = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    if missed:
        text += f"\nOnly the earlier run has: {'; '.join(missed)}\n"
    cards = {_card(run) for run in (lines, against or ()) if _card(run)}
    if len(cards) > 1:
        text += f"\nThe runs are of different GPUs: {', '.join(sorted(cards))}\n"
    return text


def plot(lines: Sequence[Line], path: Path) -> str | None:
    """Write a picture of frames, streams and first sounds; if that is not possible, why."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return "matplotlib is not installed"
    kinds = {name: _named(lines, name) for name in (FRAME, STREAMS, FIRST_SOUND)}
    shown = {name: found for name, found in kinds.items() if found}
    if not shown:
        return "no step gave a figure to draw"
    figure = Figure(figsize=(6 * len(shown), 4), layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False)[0]
    for axis, (name, found) in zip(axes, shown.items(), strict=True):
        if name == STREAMS:
            numbers = [line["streams"] for line in found]
            axis.plot(numbers, [line["value"] for line in found], marker="o")
            axis.axhline(1, color="#888888", linestyle=":")
            axis.set(xlabel="streams", ylabel="times real time, of all together", xscale="log")
        else:
            _bars(axis, found, bandwidth_gb_s(lines) if name == FRAME else None)
        axis.set(title=name)
        axis.grid(alpha=0.3)
    figure.suptitle(_card(lines), fontsize=9)
    figure.savefig(path, dpi=100)
    return None


def bandwidth_gb_s(lines: Iterable[Line]) -> float | None:
    """The bandwidth of a read that a run measured."""
    return next((line["value"] for line in lines if line["name"] == "bandwidth"), None)


def _bars(axis: Any, lines: Sequence[Line], bandwidth: float | None) -> None:
    names = [_label(line) for line in lines]
    places = range(len(lines))
    axis.barh(places, [line["value"] for line in lines], color="#4c78a8")
    for place, line in zip(places, lines, strict=True):
        if bandwidth and "floor_gb" in line:
            floor = 1000 * line["floor_gb"] / bandwidth
            axis.plot([floor] * 2, [place - 0.4, place + 0.4], color="#e45756")
    axis.set(xlabel="ms; red: the floor" if bandwidth else "ms", xscale="log")
    axis.set_yticks(list(places), names)
    axis.invert_yaxis()


def _label(line: Line) -> str:
    rest = line["name"].partition(",")[2].strip()
    return f"{line['step']}, {rest}" if rest else line["step"]


def _named(lines: Sequence[Line], name: str) -> list[Line]:
    """Lines with this name, or with something after a comma."""
    found = (line for line in lines if line["name"] == name or line["name"].startswith(f"{name},"))
    return [line for line in found if isinstance(line["value"], (int, float))]


def _card(lines: Iterable[Line]) -> str:
    return next((str(line["value"]) for line in lines if line["name"] == "card"), "")


def _value(line: Line) -> str:
    value, unit = line["value"], line["unit"]
    text = "" if value is None else f"{value:,.4g}" if isinstance(value, float) else str(value)
    text = f"{text} {unit}".strip() if value is not None else ""
    if "ok" in line:
        limit = f" (limit {line['limit']:g})" if "limit" in line else ""
        text += f"{limit}: {'right' if line['ok'] else '**WRONG**'}"
    if "status" in line:
        status = line["status"] if line["status"] != "failed" else "**FAILED**"
        text = f"{status}, {text}" if text else status
        text += f": {line['why']}" if "why" in line else ""
        text += f" ({line['log']})" if line.get("log") else ""
    return text.replace("|", "\\|")


def _floors(line: Line, bandwidth: float | None) -> str:
    if not bandwidth or "floor_gb" not in line:
        return ""
    return f"{line['value'] * bandwidth / line['floor_gb'] / 1000:.2f}"


def _compared(line: Line, before: Line | None) -> list[str]:
    """The value of an earlier run, and the ratio of two numbers that differ."""
    if before is None:
        return ["–", ""]
    now, then = line["value"], before["value"]
    both = [v for v in (now, then) if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if len(both) < 2 or not then or "status" in line or "ok" in line:
        return [_value(before), ""]
    ratio = now / then
    return [_value(before), "same" if abs(ratio - 1) < SAME else f"{ratio:.2f}"]


def main(paths: Sequence[str]) -> int:
    """Print the table of one run, or of two."""
    if not 1 <= len(paths) <= 2:
        print((__doc__ or "").splitlines()[2].strip(), file=sys.stderr)
        return 2
    runs = [read_lines(Path(path).read_text("utf-8")) for path in paths]
    print(table(runs[0], runs[1] if len(runs) > 1 else None))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
