"""Reads HTML as sections of paragraphs, for `causerie.text.blocks`."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from causerie.narrate.document import Document, Section, chapters_of

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    "address article aside blockquote body center dd details dialog div dl dt fieldset figcaption "
    "figure footer form header hr li main ol p section summary table tbody tfoot thead tr "
    "ul".split()
)
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
#: Elements that are not read, and how a note names them; None: nothing is lost.
_SKIPPED = {
    "head": None, "script": None, "style": None, "template": None, "noscript": None, "rt": None,
    "rp": None, "button": None, "select": None, "iframe": None, "nav": "a table of contents",
    "pre": "code", "svg": "a drawing", "math": "a formula", "audio": None, "video": None,
}  # fmt: skip
#: Parts of a book that are not read: values of epub:type and role.
_SKIPPED_TYPES = {
    "toc": "a table of contents", "landmarks": "a table of contents", "page-list": "page numbers",
    "pagebreak": "page numbers", "noteref": "numbers of notes", "footnote": "notes",
    "endnote": "notes", "rearnote": "notes", "footnotes": "notes", "endnotes": "notes",
    "rearnotes": "notes", "index": "the index",
}  # fmt: skip
#: Characters that are markup in markdown, so that they must be escaped.
_SPECIAL = re.compile(r"([\\`*_<>|~\[\]]|&(?=#?\w+;))")
_LINE_MARKER = re.compile(r"^([-+#=•])(?=\s|[-+#=]|$)")


class HTMLSections(HTMLParser):
    """The sections of an HTML document, and where the elements with an id begin.

    Attributes:
        sections: the first has no heading.
        anchors: id → index of the section and of the paragraph in it.
        skipped: what is not read.
        title: of the `title` element.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.sections = [Section()]
        self.anchors: dict[str, tuple[int, int]] = {}
        self.skipped: list[str] = []
        self.title = ""
        self._text: list[str] = []
        self._level = 0  # of the open heading
        self._hidden: list[str] = []  # open elements, the outermost of which is not read
        self._row: list[str] | None = None
        self._item: list[str] = []  # markers of open lists
        self._marker = ""
        self._in_title = False

    @classmethod
    def of(cls, text: str) -> HTMLSections:
        """The sections of a whole document."""
        parser = cls()
        parser.feed(text)
        parser.close()
        parser._end_block()
        return parser

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        values = {name: value or "" for name, value in attrs}
        if tag == "title" and (not self._hidden or self._hidden[0] == "head"):
            self._in_title = True
        if self._hidden:
            if tag not in _VOID:
                self._hidden.append(tag)
            return
        if tag in _BLOCKS or tag in _HEADINGS:
            self._end_block()
        kinds = f"{values.get('epub:type', '')} {values.get('role', '').replace('doc-', '')}"
        kind = next((kind for kind in kinds.split() if kind in _SKIPPED_TYPES), None)
        is_hidden = "hidden" in values or values.get("aria-hidden") == "true"
        if (tag in _SKIPPED or kind or is_hidden) and tag not in _VOID:
            self._hidden = [tag]
            reason = _SKIPPED_TYPES[kind] if kind else _SKIPPED.get(tag)
            if reason and reason not in self.skipped:
                self.skipped.append(reason)
            return
        for name in filter(None, (values.get("id"), values.get("name") if tag == "a" else "")):
            self.anchors.setdefault(name, self._position())
        if tag in _HEADINGS:
            self._level = _HEADINGS[tag]
        elif tag == "br":
            self._text.append("\n")
        elif tag in ("ul", "ol"):
            self._item.append("-" if tag == "ul" else "1")
        elif tag == "li" and self._item:
            marker = self._item[-1]
            self._marker = "- " if marker == "-" else f"{marker}. "
            if marker != "-":
                self._item[-1] = str(int(marker) + 1)
        elif tag == "tr":
            self._row = []

    def handle_endtag(self, tag: str) -> None:
        """End an element."""
        if tag == "title":
            self._in_title = False
        if self._hidden:
            if tag in self._hidden:
                while self._hidden.pop() != tag:
                    pass
            return
        if tag in ("td", "th") and self._row is not None:
            self._row.append(" ".join("".join(self._text).split()))
            self._text = []
        elif tag == "tr" and self._row is not None:
            row, self._row = [cell for cell in self._row if cell], None
            if row:
                self._append("| " + " | ".join(row) + " |")
        elif tag in ("ul", "ol") and self._item:
            self._end_block()
            self._item.pop()
        elif tag in _BLOCKS or tag in _HEADINGS:
            self._end_block()

    def handle_data(self, data: str) -> None:
        """Read text."""
        if self._in_title:
            self.title = " ".join(f"{self.title} {data}".split())
        if not self._hidden and not self._in_title:
            self._text.append(_SPECIAL.sub(r"\\\1", re.sub(r"\s+", " ", data)))

    def _position(self) -> tuple[int, int]:
        return len(self.sections) - 1, len(self.sections[-1].paragraphs)

    def _append(self, paragraph: str) -> None:
        paragraphs = self.sections[-1].paragraphs
        is_row = paragraph.startswith("| ")
        if paragraphs and is_row and paragraphs[-1].startswith("| "):
            paragraphs[-1] += "\n" + paragraph
        else:
            paragraphs.append(paragraph)

    def _end_block(self) -> None:
        lines = [" ".join(line.split()) for line in "".join(self._text).split("\n")]
        lines = [_LINE_MARKER.sub(r"\\\1", line) for line in lines if line]
        self._text = []
        level, self._level = self._level, 0
        if not lines:
            return
        if level:
            heading = " ".join(lines)
            self.sections.append(Section(level, f"# {heading}", unescaped(heading)))
            return
        marker, self._marker = self._marker, ""
        self._append(marker + "\n".join(lines))


def unescaped(text: str) -> str:
    """A text as it was before it was escaped for markdown."""
    return re.sub(r"\\([^\w\s])", r"\1", text)


def read_html(text: str, name: str) -> Document:
    """An HTML document, whose headings begin chapters.

    Args:
        name: the title of a document without one.
    """
    page = HTMLSections.of(text)
    author = re.search(r"<meta[^>]+name=[\"']author[\"'][^>]+content=[\"']([^\"']+)", text, re.I)
    language = re.search(r"<html[^>]+lang=[\"']([\w-]+)", text, re.I)
    title = page.title or name
    return Document(
        title=title,
        author=author[1] if author else "",
        language=language[1] if language else "",
        chapters=chapters_of(page.sections, title),
        notes=tuple(f"skipped: {reason}" for reason in page.skipped),
    )
