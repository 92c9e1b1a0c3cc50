"""Finds the chapters of markdown and of plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from causerie.narrate.document import Document, Section, chapters_of
from causerie.text.front_matter import front_matter_end
from causerie.text.split import whole

_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*")
_FIELD = re.compile(r"(title|author|lang(?:uage)?)(?::|[ \t]*=)[ \t]*(.+)", re.I)

_NUMBER = (
    r"(?:[0-9]{1,3}|[ivxlcdm]{1,8}|(?:twenty|thirty|forty|fifty)(?:[- ]\w+)?|one|two|three|four|"
    r"five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|the (?:first|last)|first|second|third)"
)
_NAMED = re.compile(
    rf"(?P<kind>chapter|part|book|section|volume|act|scene|letter|canto|stave)[ \t]+{_NUMBER}\b"
    r"(?:[.:]?|[.:]?[ \t]*[-–—.:][ \t]*\S.{0,70}|[ \t]+[A-Z].{0,70})",
    re.I,
)
_ALONE = re.compile(
    r"(?:prologue|epilogue|preface|foreword|introduction|afterword|conclusion|acknowledge?ments|"
    r"appendix(?: \w{1,4})?)\.?",
    re.I,
)
_NUMERAL = re.compile(r"(?:[IVXLC]{1,7}|[0-9]{1,3})\.?")
_HIGHER = ("part", "book", "volume", "act")
_GUTENBERG = re.compile(
    r"\*{3} ?(START|END) OF TH(?:E|IS) PROJECT GUTENBERG EBOOK[^\n]*?\*{3}", re.I
)


def read_markdown(text: str, name: str) -> Document:
    """A markdown document, whose headings begin chapters.

    Args:
        name: the title of a document without one.
    """
    text = "\n".join(text.splitlines()) + "\n"
    end = front_matter_end(text)
    fields = _fields(text[:end])
    text = text[end:]
    sections = list(_markdown_sections(text))
    first = next((section for section in sections if section.level), None)
    alone = first and first.level == 1 and sum(part.level == 1 for part in sections) == 1
    title = fields.get("title") or (first.title if first and alone else name)
    return Document(
        title=title,
        author=fields.get("author", ""),
        language=fields.get("language", ""),
        chapters=chapters_of(sections, title),
        notes=("skipped: front matter",) if end else (),
    )


def _fields(text: str) -> dict[str, str]:
    """Title, author and language of a header."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _FIELD.fullmatch(line.strip())
        if match:
            name = "language" if match[1].lower().startswith("lang") else match[1].lower()
            found.setdefault(name, match[2].strip().strip("\"'"))
    return found


def _markdown_sections(text: str) -> Iterator[Section]:
    section, lines, fence = Section(), list[str](), ""

    def close() -> Section:
        section.paragraphs = _paragraphs(lines)
        lines.clear()
        return section

    for line in text.splitlines():
        opening = _FENCE.match(line)
        if fence:
            fence = "" if line.strip().startswith(fence) and not line.strip(" `~") else fence
            lines.append(line)
            continue
        heading = _ATX.fullmatch(line)
        under = _SETEXT.fullmatch(line)
        is_setext = (
            under and lines and lines[-1].strip() and (len(lines) < 2 or not lines[-2].strip())
        )
        if opening:
            fence = opening[1]
        if heading and heading[2]:
            yield close()
            section = Section(len(heading[1]), line.strip(), _plain(heading[2]))
        elif under and is_setext and not lines[-1].lstrip().startswith(("|", "-", ">", "#")):
            title = lines.pop().strip()
            level = 1 if under[1][0] == "=" else 2
            yield close()
            section = Section(level, f"{'#' * level} {title}", _plain(title))
        else:
            lines.append(line)
    yield close()


def _paragraphs(lines: list[str]) -> list[str]:
    """Blocks between blank lines; a fence with its blank lines is part of one."""
    found: list[str] = []
    block: list[str] = []
    fence = ""
    for line in [*lines, ""]:
        opening = _FENCE.match(line)
        if fence:
            fence = "" if line.strip().startswith(fence) and not line.strip(" `~") else fence
        elif opening:
            fence = opening[1]
        if line.strip() or fence:
            block.append(line)
        elif block:
            found.append("\n".join(block))
            block = []
    return [*found, "\n".join(block)] if block else found


def _plain(text: str) -> str:
    """A heading without markup."""
    return " ".join(sentence.text for sentence in whole(text).sentences) or text


def read_plain(text: str, name: str) -> Document:
    """A plain text, whose chapters begin at "Chapter 1", "Prologue", "IV" between blank lines.

    The licence around a text of Project Gutenberg is left out.

    Args:
        name: the title of a document without one.
    """
    text = "\n".join(text.splitlines())
    fields: dict[str, str] = {}
    notes: list[str] = []
    marks = {match[1].upper(): match for match in _GUTENBERG.finditer(text)}
    if "START" in marks:
        fields = _fields(text[: marks["START"].start()])
        end = marks["END"].start() if "END" in marks else len(text)
        text = text[marks["START"].end() : end]
        notes.append("skipped: the licence of Project Gutenberg")
    sections = [Section()]
    paragraphs = _paragraphs(text.splitlines())
    numerals = _numerals(paragraphs)
    for number, paragraph in enumerate(paragraphs):
        first, _, rest = paragraph.strip().partition("\n")
        named = _NAMED.fullmatch(first.strip())
        is_heading = named or _ALONE.fullmatch(first.strip()) or number in numerals
        if is_heading and "\n" not in rest.strip():
            level = 1 if named and named["kind"].lower() in _HIGHER else 2
            heading = " ".join(paragraph.split())
            if rest and first.strip()[-1] not in ".:—–-":
                heading = f"{first.strip()}. {rest.strip()}"
            sections.append(Section(level, heading, heading))
        else:
            sections[-1].paragraphs.append(paragraph)
    title = fields.get("title") or name
    return Document(
        title=title,
        author=fields.get("author", ""),
        language=fields.get("language", ""),
        chapters=chapters_of(sections, title),
        notes=tuple(notes),
    )


def _numerals(paragraphs: list[str]) -> set[int]:
    """The paragraphs that number chapters: "I", "II", "III" or "1", "2" alone, from one on."""
    found: list[int] = []
    for number, paragraph in enumerate(paragraphs):
        text = paragraph.strip()
        if _NUMERAL.fullmatch(text) and _value(text.rstrip(".")) == len(found) + 1:
            found.append(number)
    return set(found) if len(found) > 1 else set()


def _value(numeral: str) -> int:
    """The value of an Arabic or Roman number."""
    if numeral.isdigit():
        return int(numeral)
    values = [{"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}[letter] for letter in numeral]
    following = [*values[1:], 0]
    return sum(-a if a < b else a for a, b in zip(values, following, strict=True))
