"""The report on an evaluation as one HTML page, which plays the samples beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from causerie.evaluate.clip import Clip, Row
from causerie.evaluate.report import Report, line_of
from causerie.report.charts import histogram
from causerie.report.page import audio, figures, paragraph, section, table
from causerie.report.page import page as html_page

#: Column of the table of clips → title of its histogram.
HISTOGRAMS = {
    "errors": "wrong words",
    "similarity": "similarity to the prompt",
    "p808": "DNSMOS P.808",
    "duration_ratio": "duration / expected duration",
    "longest_pause_s": "longest pause, s",
    "first_sound_ms": "first sound, ms",
}
#: Clips to list, those with most errors first; report.json has all.
MAX_LISTED = 100


def page(report: Report, samples: Mapping[str, Sequence[Clip]]) -> str:
    """The page.

    Args:
        samples: the spoken clips of each table, which `sample_path` names.
    """
    settings = ", ".join(
        f"{name} {', '.join(value) if isinstance(value, list) else value}"
        for name, value in report.settings.items()
    )
    rows = [(line_of(name, value), name) for name, value in report.numbers.items()]
    clips = report.tables.get("clips", [])
    charts = []
    for name, title in HISTOGRAMS.items():
        values = [row[name] for row in clips if row.get(name) is not None]
        charts.append((title, histogram(title, {"clips": values})))
    return html_page(
        f"Evaluation of {report.model}",
        [
            paragraph(settings, "lead") if settings else "",
            section("Figures", table(["figure", "name in report.json"], rows)),
            section("Clips", figures(charts), _clips(clips, samples.get("clips", []))),
            _misread(report.tables.get("homographs", []), samples.get("homographs", [])),
        ],
    )


def sample_path(table: str, number: int) -> PurePosixPath:
    """The path of a clip's audio, relative to the page; numbers begin at 1."""
    return PurePosixPath("samples", table, f"{number:03d}.flac")


def _clips(rows: Sequence[Row], clips: Sequence[Clip]) -> str:
    numbered = sorted(enumerate(rows), key=lambda item: -float(item[1].get("wer", 0)))
    cells = [
        (row["text"], row.get("heard", ""), _player("clips", number, clips), row["clip"])
        for number, row in numbered[:MAX_LISTED]
    ]
    more = len(rows) - MAX_LISTED
    rest = paragraph(f"{more} more are in report.json.") if more > 0 else ""
    return table(["text", "recognized", "audio", "clip"], cells, numbers=1) + rest


def _misread(rows: Sequence[Row], clips: Sequence[Clip]) -> str:
    cells = [
        (row["word"], row["text"], row["meant"], _player("homographs", number, clips))
        for number, row in enumerate(rows)
        if not row["right"]
    ]
    return section("Misread homographs", table(["word", "sentence", "as in", "audio"], cells))


def _player(table: str, index: int, clips: Sequence[Clip]) -> str:
    if index >= len(clips) or not len(clips[index].audio.samples):
        return "no audio"
    return audio(str(sample_path(table, index + 1)))
