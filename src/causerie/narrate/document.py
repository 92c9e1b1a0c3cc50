"""Documents to narrate: chapters, and what is known of the book. Needs no model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from causerie.errors import ConfigError, TextError

#: The extensions of documents that can be read.
EXTENSIONS = (".txt", ".text", ".md", ".markdown", ".html", ".htm", ".xhtml", ".epub")


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """A chapter.

    Attributes:
        title: of the chapter, without markup.
        heading: how it begins, as written; "" if it has no heading.
        text: what follows the heading, as written.
    """

    title: str
    heading: str = ""
    text: str


@dataclass(frozen=True, kw_only=True)
class Document:
    """A text in chapters.

    Attributes:
        cover: the bytes of a JPEG or PNG.
        notes: what of the file is not read.
    """

    title: str
    author: str = ""
    language: str = ""
    cover: bytes | None = None
    chapters: tuple[Chapter, ...]
    notes: tuple[str, ...] = ()


@dataclass
class Section:
    """A heading and the text up to the next one.

    Attributes:
        level: of the heading, 1 for the highest; 0 for text before any heading.
        heading: as written.
        title: the heading without markup.
        paragraphs: as written, without the blank lines between them.
    """

    level: int = 0
    heading: str = ""
    title: str = ""
    paragraphs: list[str] = field(default_factory=list)


def read_document(path: Path) -> Document:
    """The document in a file.

    Raises:
        ConfigError: the extension is unknown.
        TextError: the file cannot be opened, is protected or damaged, or holds no text.
    """
    extension = path.suffix.lower()
    if extension not in EXTENSIONS:
        known = ", ".join((".txt", ".md", ".html", ".epub"))
        raise ConfigError(
            f"cannot read {path}: {extension or 'no'} extension; use one of {known}, and convert "
            "other documents first"
        )
    if extension == ".epub":
        from causerie.narrate.epub import read_epub

        document = read_epub(path)
    elif extension in (".html", ".htm", ".xhtml"):
        from causerie.narrate.markup import read_html

        document = read_html(_decoded(path, is_html=True), path.stem)
    else:
        from causerie.narrate.plain import read_markdown, read_plain

        read = read_markdown if extension in (".md", ".markdown") else read_plain
        document = read(_decoded(path), path.stem)
    if not any(chapter.heading or chapter.text.strip() for chapter in document.chapters):
        raise TextError(f"{path} holds no text: there is nothing to speak")
    return document


def read_bytes(path: Path) -> bytes:
    """The bytes of a document.

    Raises:
        TextError: the file cannot be opened.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise TextError(f"document {path} cannot be opened: {error.strerror}") from error


_CHARSET = re.compile(rb"<meta[^>]+charset=[\"']?([\w-]+)|<\?xml[^>]+encoding=[\"']([\w-]+)", re.I)


def _decoded(path: Path, *, is_html: bool = False) -> str:
    contents = read_bytes(path)
    encoding = "utf-8-sig"
    if contents[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif is_html and (named := _CHARSET.search(contents[:2_000])):
        encoding = (named[1] or named[2]).decode("ascii")
        encoding = "utf-8-sig" if encoding.lower() == "utf-8" else encoding
    try:
        return contents.decode(encoding)
    except LookupError as error:
        raise TextError(
            f"{path} names an unknown encoding, {encoding}: save it as UTF-8"
        ) from error
    except UnicodeDecodeError as error:
        name = encoding.removesuffix("-sig").upper()
        raise TextError(f"{path} is not text in {name}: save it as UTF-8 ({error})") from error


def chapters_of(sections: Sequence[Section], title: str) -> tuple[Chapter, ...]:
    """Chapters from sections: each begins at a heading of the chapters' level or above.

    The chapters' level is the highest that occurs twice, so that the only heading of its level is
    the title of the book. A heading without text belongs to the chapter after it.

    Args:
        title: of a chapter without a heading.
    """
    levels = [section.level for section in sections if section.level]
    repeated = [level for level in levels if levels.count(level) > 1]
    limit = min(repeated or levels or [0])
    groups: list[list[Section]] = []
    for section in sections:
        is_open = groups and not any(part.paragraphs for part in groups[-1])
        if not groups or (0 < section.level <= limit and not is_open):
            groups.append([])
        groups[-1].append(section)
    return tuple(_chapter(group, title) for group in groups if _has_text(group))


def _has_text(group: Sequence[Section]) -> bool:
    return any(section.heading or section.paragraphs for section in group)


def _chapter(group: Sequence[Section], title: str) -> Chapter:
    bare = 0  # headings before the first text
    for section in group:
        bare += bool(section.heading)
        if section.paragraphs:
            break
    headings = [section for section in group if section.heading][:bare]
    opens = not group[0].paragraphs or bool(group[0].heading)
    headings = headings if opens else []
    text: list[str] = []
    for section in group:
        if section.heading and section not in headings:
            text.append(section.heading)
        text += section.paragraphs
    return Chapter(
        title=headings[-1].title if headings else title,
        heading="\n\n".join(section.heading for section in headings),
        text="\n\n".join(text),
    )


def chosen_chapters(ranges: str, number: int) -> list[int]:
    """The indices of chapters in "2-5", "1,3" or "4-".

    Args:
        number: of chapters that there are.

    Raises:
        ConfigError: it is no such range, or there are no such chapters.
    """
    chosen: set[int] = set()
    for part in ranges.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:(-)\s*(\d+)?)?\s*", part)
        if match is None:
            raise ConfigError(f'chapters {ranges!r} is no range: write "2-5", "1,3" or "4-"')
        first = int(match[1])
        last = int(match[3]) if match[3] else number if match[2] else first
        if not 1 <= first <= last <= number:
            raise ConfigError(
                f"chapters {part.strip()!r} do not exist: there are {number}, see --list"
            )
        chosen |= set(range(first - 1, last))
    return sorted(chosen)
