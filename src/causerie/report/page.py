"""An HTML page and its parts. Every text is escaped, unless it is `Html`."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5b6577; --line: #d9dee7;
  --back: #fff; --first: #3b7dd8; --second: #d9683c; --third: #3f9a62; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #9aa4b5; --line: #343c4a;
  --back: #14181f; --first: #6aa2ee; --second: #ec8a63; --third: #6cc08c; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back);
  max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p.lead, figcaption, th, dt { color: var(--soft); }
p.warning { border-left: .25rem solid var(--second); padding-left: .8rem; }
dl { display: flex; flex-wrap: wrap; gap: .8rem 2.4rem; margin: 1.4rem 0; }
dt { font-size: .85rem; } dd { margin: 0; font-size: 1.5rem; }
.grid { display: grid; gap: 1.4rem; margin: 1.4rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); }
figure { margin: 0; } figcaption { font-size: .9rem; }
svg { width: 100%; height: auto; } svg text { font-size: 10px; fill: var(--soft); }
.first { fill: var(--first); stroke: var(--first); }
.second { fill: var(--second); stroke: var(--second); }
.third { fill: var(--third); stroke: var(--third); }
rect.first, rect.second, svg text { stroke: none; } polyline { fill: none; stroke-width: 1.5; }
.axis { stroke: var(--line); } .limit { stroke: var(--ink); stroke-dasharray: 3 3; opacity: .6; }
.level { stroke-dasharray: 5 3; }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .8em; }
.key.first { background: var(--first); margin-left: 0; } .key.second { background: var(--second); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0;
  border-bottom: 1px solid var(--line); } th { font-weight: 500; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.name { overflow-wrap: anywhere; min-width: 9rem; }
audio { width: 15rem; height: 2rem; display: block; }
"""


class Html(str):
    """Markup, which is not escaped."""


def page(title: str, body: Iterable[str], *, heading: str = "") -> str:
    """A page.

    Args:
        title: title of the document.
        body: parts, each as markup; empty ones are left out.
        heading: heading of the page; the title by default.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body>\n<h1>{text(heading or title)}</h1>\n"
        + "\n".join(part for part in body if part)
        + "\n</body></html>\n"
    )


def text(value: object) -> str:
    """A value as escaped text; `Html` stays as it is."""
    return value if isinstance(value, Html) else html.escape(str(value))


def paragraph(value: object, kind: str = "") -> str:
    """A paragraph; `kind` is "lead", "warning" or empty."""
    return f'<p class="{kind}">{text(value)}</p>' if kind else f"<p>{text(value)}</p>"


def section(heading: str, *parts: str) -> str:
    """A section with its heading; empty if all parts are empty."""
    return "\n".join([f"<h2>{text(heading)}</h2>", *parts]) if any(parts) else ""


def facts(items: Sequence[tuple[str, object]]) -> str:
    """Names with large values beside each other."""
    cells = [f"<div><dt>{text(key)}</dt><dd>{text(value)}</dd></div>" for key, value in items]
    return "\n".join(["<dl>", *cells, "</dl>"])


def table(head: Sequence[object], rows: Sequence[Sequence[object]], *, numbers: int = 0) -> str:
    """A table whose last `numbers` columns are flush right; empty without rows."""
    if not rows:
        return ""

    def line(tag: str, cells: Sequence[object]) -> str:
        plain = len(cells) - 1 - numbers
        kinds = [' class="name"'] + [""] * plain + [' class="number"'] * numbers
        return "".join(
            f"<{tag}{kind}>{text(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True)
        )

    lines = "\n".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><thead><tr>{line("th", head)}</tr></thead>\n'
        f"<tbody>{lines}</tbody></table></div>"
    )


def audio(path: str) -> Html:
    """A player for a sound file; the path is relative to the page."""
    return Html(f'<audio controls preload="none" src="{html.escape(path)}"></audio>')


def figures(items: Sequence[tuple[str, str]]) -> str:
    """Captions and charts in a grid, without empty charts; empty if all are."""
    shown = [
        f"<figure>{svg}<figcaption>{text(caption)}</figcaption></figure>"
        for caption, svg in items
        if svg
    ]
    return f'<div class="grid">{"".join(shown)}</div>' if shown else ""
