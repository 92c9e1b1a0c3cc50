"""Reads EPUB 2 and 3: a zip of XHTML files in the order of a "spine"."""

from __future__ import annotations

import io
import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

from causerie.errors import TextError
from causerie.narrate.document import Chapter, Document, Section, chapters_of, read_bytes
from causerie.narrate.markup import HTMLSections

#: Encryption that only obfuscates fonts, which is no protection of the text.
_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_XHTML = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
#: Largest file inside an EPUB, unpacked.
MAX_BYTES = 100 * 2**20


@dataclass(frozen=True)
class _Item:
    """A file of the book."""

    path: str
    media_type: str
    properties: tuple[str, ...]


def read_epub(path: Path) -> Document:
    """The book in an EPUB. Its table of contents gives the chapters, else its headings do.

    Raises:
        TextError: the file is no EPUB, is damaged, or is protected by DRM.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(read_bytes(path))) as archive:
            return _Book(archive, path).read()
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise TextError(f"{path} is no EPUB, or is damaged ({error})") from error
    except ElementTree.ParseError as error:
        raise TextError(
            f"{path} is damaged: its table of files cannot be read ({error})"
        ) from error


class _Book:
    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        self._archive, self._path = archive, path
        self._names = set(archive.namelist())
        self._check_protection()
        container = self._xml("META-INF/container.xml")
        found = next((e for e in container.iter() if _tag(e) == "rootfile"), None)
        root = found.get("full-path") if found is not None else None
        if root is None:
            raise TextError(f"{path} is no EPUB: its container names no package")
        self._root = posixpath.dirname(root)
        self._package = self._xml(root)
        self._items = {
            element.get("id", ""): _Item(
                self._place(self._root, element.get("href", "")),
                element.get("media-type", ""),
                tuple((element.get("properties") or "").split()),
            )
            for element in self._package.iter()
            if _tag(element) == "item"
        }

    def read(self) -> Document:
        title = self._metadata("title") or self._path.stem
        pages: list[tuple[str, HTMLSections]] = []
        notes: list[str] = []
        for item in self._spine():
            page = HTMLSections.of(self._bytes(item.path).decode("utf-8", "replace"))
            notes += [note for note in page.skipped if note not in notes]
            if "nav" not in item.properties:
                pages.append((item.path, page))
        contents = dict(self._contents())
        chapters = _by_contents(pages, contents, title) if contents else ()
        if not chapters:
            sections = [section for _, page in pages for section in page.sections]
            chapters = chapters_of(sections, title)
        return Document(
            title=title,
            author=self._metadata("creator"),
            language=self._metadata("language"),
            cover=self._cover(),
            chapters=chapters,
            notes=tuple(f"skipped: {note}" for note in notes),
        )

    def _check_protection(self) -> None:
        """Raise TextError if the text is encrypted."""
        drm = TextError(
            f"{self._path} is protected by DRM, so its text cannot be read: use a copy without "
            "protection, as the seller or a library may offer"
        )
        if "META-INF/rights.xml" in self._names or "META-INF/license.lcpl" in self._names:
            raise drm
        if "META-INF/encryption.xml" in self._names:
            for element in self._xml("META-INF/encryption.xml").iter():
                algorithm = element.get("Algorithm", "")
                if _tag(element) == "EncryptionMethod" and algorithm not in _FONTS:
                    raise drm

    def _bytes(self, name: str) -> bytes:
        try:
            info = self._archive.getinfo(name)
        except KeyError:
            raise TextError(f"{self._path} is no EPUB, or is damaged: {name} is missing") from None
        if info.flag_bits & 1:
            raise TextError(f"{self._path} is encrypted with a password: unpack it first")
        if info.file_size > MAX_BYTES:
            raise TextError(f"{self._path}: {name} is larger than {MAX_BYTES >> 20} MiB")
        return self._archive.read(info)

    def _xml(self, name: str) -> ElementTree.Element:
        contents = self._bytes(name)
        if b"<!ENTITY" in contents:
            raise TextError(f"{self._path}: {name} defines entities, which no EPUB needs")
        return ElementTree.fromstring(contents)

    def _place(self, folder: str, href: str) -> str:
        """The name in the archive of a reference."""
        return posixpath.normpath(posixpath.join(folder, unquote(href)))

    def _metadata(self, name: str) -> str:
        values = [e.text for e in self._package.iter() if _tag(e) == name and e.text]
        values = values[:1] if name != "creator" else values
        return ", ".join(" ".join(value.split()) for value in values)

    def _spine(self) -> Iterator[_Item]:
        for element in self._package.iter():
            item = self._items.get(element.get("idref", ""))
            if (
                _tag(element) == "itemref"
                and item is not None
                and item.media_type in _XHTML
                and element.get("linear") != "no"
                and item.path in self._names
            ):
                yield item

    def _contents(self) -> Iterator[tuple[tuple[str, str], str]]:
        """Places (file, anchor) in the book, and their titles."""
        nav = next((i for i in self._items.values() if "nav" in i.properties), None)
        ncx = next((i for i in self._items.values() if i.media_type.endswith("ncx+xml")), None)
        item = nav if nav is not None and nav.path in self._names else ncx
        if item is None or item.path not in self._names:
            return
        folder = posixpath.dirname(item.path)
        for href, title in _nav_links(self._xml(item.path)):
            file, _, anchor = href.partition("#")
            place = self._place(folder, file) if file else item.path
            yield (place, unquote(anchor)), title

    def _cover(self) -> bytes | None:
        """The picture of the cover, if it is a JPEG or PNG."""
        named = {
            element.get("content")
            for element in self._package.iter()
            if _tag(element) == "meta" and element.get("name") == "cover"
        }
        for name, item in self._items.items():
            is_cover = "cover-image" in item.properties or name in named
            if is_cover and item.media_type in ("image/jpeg", "image/png"):
                return self._bytes(item.path) if item.path in self._names else None
        return None


def _nav_links(root: ElementTree.Element) -> Iterator[tuple[str, str]]:
    """The links of a table of contents, of EPUB 3 (nav) or 2 (ncx)."""
    if _tag(root) == "ncx":
        for point in root.iter():
            if _tag(point) != "navPoint":
                continue
            label = next((e for e in point if _tag(e) == "navLabel"), None)
            content = next((e for e in point if _tag(e) == "content"), None)
            if label is not None and content is not None and content.get("src"):
                yield content.get("src", ""), _text(label)
        return
    navs = [e for e in root.iter() if _tag(e) == "nav"]
    kinds = [next((v for k, v in nav.items() if k.endswith("type")), "") for nav in navs]
    for nav, kind in zip(navs, kinds, strict=True):
        if kind in ("toc", "") and (kind or "toc" not in kinds):
            for link in nav.iter():
                if _tag(link) == "a" and link.get("href"):
                    yield link.get("href", ""), _text(link)


def _by_contents(
    pages: list[tuple[str, HTMLSections]], contents: dict[tuple[str, str], str], title: str
) -> tuple[Chapter, ...]:
    """Chapters that begin where an entry of the contents leads; earlier text is one too.

    Entries that lead into the middle of a file count only if no entry leads to a file's start, as
    in a book that is one file: otherwise they are sections of a chapter.
    """
    starts = _starts(pages, contents)
    at_files = {place for place in starts if place[1:] == (0, 0)}
    begins = at_files if len(at_files) > 1 else set(starts)
    chapters: list[list[Section]] = []
    titles: list[str] = []
    begun: set[tuple[int, int, int]] = set()
    for place, part in _parts(pages):
        if not chapters or (place in begins and place not in begun):
            chapters.append([])
            titles.append(starts[place] if place in begins else title)
        begun.add(place)
        chapters[-1].append(part)
    return tuple(
        _titled(name, group) for name, group in zip(titles, chapters, strict=True) if _says(group)
    )


def _parts(
    pages: list[tuple[str, HTMLSections]],
) -> Iterator[tuple[tuple[int, int, int], Section]]:
    """The headings and paragraphs of a book, each with its page, section and paragraph."""
    for number, (_, page) in enumerate(pages):
        for index, section in enumerate(page.sections):
            yield (number, index, 0), Section(section.level, section.heading, section.title)
            for at, paragraph in enumerate(section.paragraphs):
                yield (number, index, at), Section(paragraphs=[paragraph])


def _starts(
    pages: list[tuple[str, HTMLSections]], contents: dict[tuple[str, str], str]
) -> dict[tuple[int, int, int], str]:
    """Page, section and paragraph where each entry leads, and its title; the first one counts."""
    numbers = {path: number for number, (path, _) in enumerate(pages)}
    found: dict[tuple[int, int, int], str] = {}
    for (path, anchor), title in contents.items():
        if path not in numbers:
            continue
        page = pages[numbers[path]][1]
        index, at = page.anchors.get(anchor, (0, 0)) if anchor else (0, 0)
        if at == len(page.sections[index].paragraphs) and index + 1 < len(page.sections):
            index, at = index + 1, 0  # the heading after it
        if not at and not _says(page.sections[:index]):
            index = 0  # nothing is before it
        found.setdefault((numbers[path], index, at), title)
    return found


def _says(group: list[Section]) -> bool:
    return any(section.heading or section.paragraphs for section in group)


def _titled(title: str, group: list[Section]) -> Chapter:
    """A chapter with the title that the contents have; its heading is as in the text."""
    spoken: list[str] = []
    first = next(s for s in group if s.heading or s.paragraphs)
    heading = first.heading
    for section in group:
        if section.heading and section is not first:
            spoken.append(section.heading)
        spoken += section.paragraphs
    return Chapter(title=title or first.title, heading=heading, text="\n\n".join(spoken))


def _tag(element: ElementTree.Element) -> str:
    """The name of an element, without its namespace."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _text(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())
