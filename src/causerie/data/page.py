"""The report on a preparation as one HTML page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from causerie.data.process_recording import Outcome
from causerie.data.report import Report, clock, seconds
from causerie.report.charts import histogram
from causerie.report.page import Html, facts, figures, paragraph, section, table
from causerie.report.page import page as html_page

#: Dropped turns to list; report.json has all.
MAX_LISTED = 1000
#: Returns a value of a turn, if it was measured.
Measure: TypeAlias = Callable[[Outcome], "float | None"]


def page(report: Report, name: str) -> str:
    """The page on the preparation of the folder `name`."""
    totals = report.totals()
    return html_page(
        f"{name}: what was kept",
        [
            paragraph(
                f"{totals['recordings']} recordings of {clock(totals['recorded_s'])}, "
                "prepared for training by causerie.",
                "lead",
            ),
            facts(
                [
                    ("turns kept", f"{totals['kept']} of {totals['turns']}"),
                    ("speech kept", clock(totals["kept_s"])),
                    ("dropped", clock(totals["dropped_s"])),
                    ("silence between", clock(totals["silence_s"])),
                    ("speakers", len(report.speakers())),
                    ("conversations", totals["conversations"]),
                ]
            ),
            *map(paragraph, report.notes),
            _reasons(report),
            section(
                "What was done to turns that were kept",
                table(["what", "turns"], list(report.notes_count().items()), numbers=1),
            ),
            _speakers(report),
            _histograms(report),
            _dropped(report),
            _split(report),
            section("Files that are not part of the data", table(["file", "why"], report.left_out)),
            _settings(report),
        ],
        heading=name,
    )


def _reasons(report: Report) -> str:
    rows = [
        (kind, count, sum(r.kind == kind for o in report.dropped for r in o.reasons))
        for kind, count in report.dropped_by_reason().items()
    ]
    head = ["reason", "turns", "also with others"]
    return section("Why turns were dropped", table(head, rows, numbers=2))


def _speakers(report: Report) -> str:
    speakers = report.speakers()
    if len(speakers) < 2:
        return ""
    rows = [(name, clock(value)) for name, value in speakers.items()]
    return section("Speakers", table(["speaker", "kept"], rows, numbers=1))


def _histograms(report: Report) -> str:
    limits = report.settings["limits"]

    def percent(value: float | None) -> float | None:
        return None if value is None else 100 * min(value, 1)

    charts: list[tuple[str, str, Measure, Sequence[float]]] = [
        ("length", " s", lambda o: seconds(o) or None, (limits["min_s"], limits["max_s"])),
        ("speech above noise", " dB", lambda o: o.measured.snr_db, (limits["min_snr_db"],)),
        (
            "loudness before levelling", " LUFS", lambda o: o.measured.loudness,
            (limits["min_loudness"],),
        ),
        (
            "pace, letters per second", "", lambda o: o.measured.pace,
            (limits["min_pace"], limits["max_pace"]),
        ),
        (
            "letters recognized differently", " %", lambda o: percent(o.measured.cer),
            (100 * limits["max_cer"],),
        ),
        (
            "clipped samples", " %", lambda o: percent(o.measured.clipped),
            (100 * limits["max_clipped"],),
        ),
    ]  # fmt: skip

    def svg(title: str, unit: str, value: Measure, marks: Sequence[float]) -> str:
        series = {
            name: [v for o in outcomes if (v := value(o)) is not None]
            for name, outcomes in (("kept", report.kept), ("dropped", report.dropped))
        }
        return histogram(title, series, unit=unit, limits=[float(mark) for mark in marks])

    key = Html(
        '<span class="key first"></span>kept<span class="key second"></span>dropped; '
        "dashed lines are the limits"
    )
    grid = figures([(chart[0], svg(*chart)) for chart in charts])
    return section("All turns", paragraph(key), grid) if grid else ""


def _dropped(report: Report) -> str:
    rows = [
        (
            entry.recording.name,
            f"{outcome.start_s:.2f}\u2013{outcome.end_s:.2f}",
            "; ".join(f"{reason.kind}: {reason.detail}" for reason in outcome.reasons),
            outcome.text,
            outcome.heard or "",
        )
        for entry in report.entries
        for outcome in entry.outcomes
        if outcome.reasons
    ]
    head = ["file", "seconds", "why", "transcript", "recognized"]
    more = len(rows) - MAX_LISTED
    rest = paragraph(f"{more} more are in report.json.") if more > 0 else ""
    return section("Dropped turns", table(head, rows[:MAX_LISTED]), rest)


def _split(report: Report) -> str:
    if not report.split:
        return ""
    why = (
        "A turn was dropped from each. The turns after it form a conversation of their own, "
        "so that no turn is taken for the answer to another."
    )
    rows = [(one.conversation, ", ".join(one.parts) or "nothing kept") for one in report.split]
    return section(
        "Conversations that were split", paragraph(why), table(["conversation", "now"], rows)
    )


def _settings(report: Report) -> str:
    values = {**report.settings["limits"]}
    values |= {key: value for key, value in report.settings.items() if key != "limits"}
    return section("Settings", table(["name", "value"], list(values.items())))
