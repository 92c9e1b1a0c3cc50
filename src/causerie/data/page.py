"""The report as one HTML page that needs nothing else: no script, no network."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

from causerie.data.histogram import Histogram
from causerie.data.process_recording import Outcome
from causerie.data.report import Report, clock, seconds

#: So many dropped turns are listed; report.json has all.
MAX_LISTED = 1000

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5b6577; --line: #d9dee7;
  --back: #fff; --kept: #3b7dd8; --dropped: #d9683c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #9aa4b5; --line: #343c4a;
  --back: #14181f; --kept: #6aa2ee; --dropped: #ec8a63; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back);
  max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p.lead, figcaption, td.soft, th, dt { color: var(--soft); }
dl { display: flex; flex-wrap: wrap; gap: .8rem 2.4rem; margin: 1.4rem 0; }
dt { font-size: .85rem; } dd { margin: 0; font-size: 1.5rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1.4rem; }
figure { margin: 0; } figcaption { font-size: .9rem; }
svg { width: 100%; height: auto; } svg text { font-size: 10px; fill: var(--soft); }
.kept { fill: var(--kept); } .dropped { fill: var(--dropped); }
.axis { stroke: var(--line); } .limit { stroke: var(--ink); stroke-dasharray: 3 3; opacity: .6; }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .8em; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0;
  border-bottom: 1px solid var(--line); } th { font-weight: 500; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.name { overflow-wrap: anywhere; min-width: 9rem; }
"""


def page(report: Report, name: str) -> str:
    """The page about the preparation of the folder `name`."""
    totals = report.totals()
    facts = [
        ("turns kept", f"{totals['kept']} of {totals['turns']}"),
        ("speech kept", clock(totals["kept_s"])),
        ("dropped", clock(totals["dropped_s"])),
        ("silence between", clock(totals["silence_s"])),
        ("speakers", str(len(report.speakers()))),
        ("conversations", str(totals["conversations"])),
    ]
    body = [
        f"<h1>{_text(name)}</h1>",
        f'<p class="lead">{totals["recordings"]} recordings of {clock(totals["recorded_s"])}, '
        f"prepared for training by causerie.</p>",
        "<dl>",
        *(f"<div><dt>{_text(key)}</dt><dd>{_text(value)}</dd></div>" for key, value in facts),
        "</dl>",
        *(f"<p>{_text(note)}</p>" for note in report.notes),
        _why(report),
        _histograms(report),
        _listed(report),
        _others(report),
        _settings(report),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(name)}: what was kept</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body></html>\n"
    )


def _why(report: Report) -> str:
    parts = []
    if report.dropped:
        parts.append("<h2>Why turns were dropped</h2>")
        rows = [
            [kind, count, sum(r.kind == kind for o in report.dropped for r in o.reasons)]
            for kind, count in report.dropped_by_reason().items()
        ]
        parts.append(_table(["reason", "turns", "with others"], rows, numbers=2))
    if notes := report.notes_count():
        parts.append("<h2>What was done to turns that were kept</h2>")
        parts.append(_table(["what", "turns"], [[*item] for item in notes.items()], numbers=1))
    if len(speakers := report.speakers()) > 1:
        parts.append("<h2>Speakers</h2>")
        rows = [[name, clock(value)] for name, value in speakers.items()]
        parts.append(_table(["speaker", "kept"], rows, numbers=1))
    return "\n".join(parts)


def _histograms(report: Report) -> str:
    limits = report.settings["limits"]

    def both(value: Callable[[Outcome], float | None]) -> tuple[list[float], list[float]]:
        kept = [v for o in report.kept if (v := value(o)) is not None]
        return kept, [v for o in report.dropped if (v := value(o)) is not None]

    wanted: list[tuple[str, str, Callable[[Outcome], float | None], Sequence[str]]] = [
        ("length", " s", lambda o: seconds(o) or None, ("min_s", "max_s")),
        ("speech above noise", " dB", lambda o: o.measured.snr_db, ("min_snr_db",)),
        ("loudness before levelling", " LUFS", lambda o: o.measured.loudness, ("min_loudness",)),
        ("pace, letters a second", "", lambda o: o.measured.pace, ("min_pace", "max_pace")),
        (
            "letters heard otherwise",
            " %",
            lambda o: None if o.measured.cer is None else 100 * min(o.measured.cer, 1),
            (),
        ),
        (
            "clipped samples",
            " %",
            lambda o: None if o.measured.clipped is None else 100 * o.measured.clipped,
            (),
        ),
    ]
    figures = []
    for title, unit, value, names in wanted:
        kept, dropped = both(value)
        lines = [float(limits[name]) for name in names]
        if title == "letters heard otherwise":
            lines = [100 * limits["max_cer"]]
        elif title == "clipped samples":
            lines = [100 * limits["max_clipped"]]
        svg = Histogram(title=title, unit=unit, kept=kept, dropped=dropped, limits=lines).svg()
        if svg:
            figures.append(f"<figure>{svg}<figcaption>{_text(title)}</figcaption></figure>")
    if not figures:
        return ""
    key = (
        '<p><span class="key" style="background:var(--kept)"></span>kept'
        '<span class="key" style="background:var(--dropped)"></span>dropped; '
        "dashed lines are the limits</p>"
    )
    return f'<h2>All turns</h2>{key}<div class="grid">{"".join(figures)}</div>'


def _listed(report: Report) -> str:
    rows: list[list[object]] = []
    for entry in report.entries:
        for outcome in entry.outcomes:
            if outcome.reasons:
                why = "; ".join(f"{reason.kind}: {reason.detail}" for reason in outcome.reasons)
                where = f"{outcome.start_s:.2f} – {outcome.end_s:.2f}"
                said, heard = outcome.text, outcome.heard or ""
                rows.append([entry.recording.name, where, why, said, heard])
    if not rows:
        return ""
    head = ["file", "seconds", "why", "transcript", "heard"]
    more = len(rows) - MAX_LISTED
    rest = f"<p>{more} more are in report.json.</p>" if more > 0 else ""
    return f"<h2>Dropped turns</h2>{_table(head, rows[:MAX_LISTED])}{rest}"


def _others(report: Report) -> str:
    parts = []
    if report.parted:
        parts.append(
            "<h2>Conversations that were parted</h2><p>A turn was dropped from each. What follows "
            "it is a conversation of its own, so that no turn passes for the answer to another.</p>"
        )
        rows = [[one.conversation, ", ".join(one.parts) or "nothing kept"] for one in report.parted]
        parts.append(_table(["conversation", "now"], rows))
    if report.left_out:
        parts.append("<h2>Files that are no part of the data</h2>")
        parts.append(_table(["file", "why"], [[*item] for item in report.left_out]))
    return "\n".join(parts)


def _settings(report: Report) -> str:
    values = {**report.settings["limits"]}
    values |= {key: value for key, value in report.settings.items() if key != "limits"}
    rows = [[*item] for item in values.items()]
    return f"<h2>Settings</h2>{_table(['name', 'value'], rows)}"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]], numbers: int = 0) -> str:
    """A table; its last `numbers` columns are flush right."""

    def line(tag: str, cells: Sequence[object]) -> str:
        kinds = ["name"] + [""] * (len(cells) - 1 - numbers) + ["number"] * numbers
        return "".join(
            f'<{tag} class="{kind}">{_text(cell)}</{tag}>'
            if kind
            else f"<{tag}>{_text(cell)}</{tag}>"
            for kind, cell in zip(kinds, cells, strict=True)
        )

    lines = "\n".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><thead><tr>{line("th", head)}</tr></thead>\n'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _text(value: object) -> str:
    return html.escape(str(value))
