"""Documents become chapters."""

from __future__ import annotations

from pathlib import Path

import pytest

from causerie.errors import ConfigError, TextError
from causerie.narrate.document import Document, chosen_chapters, read_document
from tests.narrate.books import PNG, write_epub


@pytest.fixture
def read(tmp_path: Path):  # type: ignore[no-untyped-def]
    def of(name: str, contents: str | bytes) -> Document:
        path = tmp_path / name
        path.write_bytes(contents.encode() if isinstance(contents, str) else contents)
        return read_document(path)

    return of


def shape(document: Document) -> list[tuple[str, str, str]]:
    return [(chapter.title, chapter.heading, chapter.text) for chapter in document.chapters]


MARKDOWN = """---
title: "The Little Book"
author: Ann Lee
---

# The Little Book

Before *all*.

## One **morning** ##

It was $5.

```python
# no heading

x = 1
```

### A part of it

More.

Two nights
----------

It ended.
"""


def test_markdown_has_a_chapter_for_each_heading_of_the_level_that_repeats(read) -> None:  # type: ignore[no-untyped-def]
    document = read("a.md", MARKDOWN)
    assert (document.title, document.author) == ("The Little Book", "Ann Lee")
    assert document.notes == ("skipped: front matter",)
    assert shape(document) == [
        ("The Little Book", "# The Little Book", "Before *all*."),
        (
            "One morning",
            "## One **morning** ##",
            "It was $5.\n\n```python\n# no heading\n\nx = 1\n```\n\n### A part of it\n\nMore.",
        ),
        ("Two nights", "## Two nights", "It ended."),
    ]


def test_a_heading_without_text_belongs_to_the_next_chapter(read) -> None:  # type: ignore[no-untyped-def]
    document = read("a.md", "# Book\n\n## One\n\nA.\n\n## Two\n\nB.\n")
    assert shape(document) == [("One", "# Book\n\n## One", "A."), ("Two", "## Two", "B.")]
    assert document.title == "Book"


PLAIN = """The Project Gutenberg eBook of Alice
Title: Alice
Author: Lewis
*** START OF THE PROJECT GUTENBERG EBOOK ALICE ***

CHAPTER I.
Down the Hole

Alice was tired. Chapter 2 of her
book was long.

I

Part of it was dull.

Chapter Two: The Pool

She swam.

EPILOGUE

The end.

*** END OF THE PROJECT GUTENBERG EBOOK ALICE ***
Licence.
"""


def test_plain_text_has_chapters_where_a_line_alone_says_so(read) -> None:  # type: ignore[no-untyped-def]
    document = read("a.txt", PLAIN)
    assert (document.title, document.author) == ("Alice", "Lewis")
    assert shape(document) == [
        (
            "CHAPTER I. Down the Hole",
            "CHAPTER I. Down the Hole",
            "Alice was tired. Chapter 2 of her\nbook was long.\n\nI\n\nPart of it was dull.",
        ),
        ("Chapter Two: The Pool", "Chapter Two: The Pool", "She swam."),
        ("EPILOGUE", "EPILOGUE", "The end."),
    ]
    assert document.notes == ("skipped: the licence of Project Gutenberg",)


def test_numbers_alone_are_chapters_if_they_count_from_one(read) -> None:  # type: ignore[no-untyped-def]
    document = read("a.txt", "I\n\nA.\n\nII.\n\nB.\n\nIII\n\nC.\n\n4\n\nD.\n")
    assert [chapter.title for chapter in document.chapters] == ["I", "II.", "III", "4"]


def test_a_text_without_headings_is_one_chapter(read) -> None:  # type: ignore[no-untyped-def]
    assert shape(read("story.txt", "One.\n\nTwo.")) == [("story", "", "One.\n\nTwo.")]


HTML = """<html lang="en"><head><title>A Page</title><meta name="author" content="Ann">
<style>p{}</style></head><body><nav><a href="#x">Contents</a></nav><h1>A Page</h1>
<p>5 &lt; 6 &amp;amp; a*b</p><h2 id="x">First</h2><p>Hello <b>big</b>
world.<br>Bye.<script>x()</script></p><pre>code()</pre><ul><li>one<li>two</ul>
<table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td></td></tr></table>
<h2>Second</h2><div>Text<p>- dash</div></body></html>"""


def test_html_has_chapters_and_says_what_is_left_out(read) -> None:  # type: ignore[no-untyped-def]
    document = read("a.html", HTML)
    assert (document.title, document.author, document.language) == ("A Page", "Ann", "en")
    assert shape(document) == [
        ("A Page", "# A Page", "5 \\< 6 \\&amp; a\\*b"),
        ("First", "# First", "Hello big world.\nBye.\n\n- one\n\n- two\n\n| A | B |\n| 1 |"),
        ("Second", "# Second", "Text\n\n\\- dash"),
    ]
    assert document.notes == ("skipped: a table of contents", "skipped: code")


def test_html_may_have_another_encoding(read) -> None:  # type: ignore[no-untyped-def]
    page = '<meta charset="windows-1252"><p>café</p>'.encode("cp1252")
    assert shape(read("a.htm", page)) == [("a", "", "café")]


@pytest.mark.parametrize("contents", ["nav", "ncx"])
def test_an_epub_has_the_chapters_of_its_contents(tmp_path: Path, contents: str) -> None:
    document = read_document(write_epub(tmp_path / "a.epub", contents=contents))
    assert (document.title, document.author, document.language) == (
        "The Small Book",
        "Ann Lee",
        "en",
    )
    assert document.cover == PNG
    assert shape(document) == [
        ("The Small Book", "", "The Small Book"),
        ("The Start", "# One", "It be\xadgan.\n\n# Later\n\nIt went on & on.\n\nAnd on."),
        ("The End", "# Two", "It ended."),
    ]
    assert document.notes == ("skipped: numbers of notes", "skipped: notes")


def test_an_epub_without_contents_has_the_chapters_of_its_headings(tmp_path: Path) -> None:
    document = read_document(write_epub(tmp_path / "a.epub", contents="none"))
    assert [chapter.title for chapter in document.chapters] == ["The Small Book", "One", "Two"]


def test_a_book_in_one_file_has_chapters_at_anchors(tmp_path: Path) -> None:
    nav = (
        '<html xmlns:epub="http://www.idpf.org/2007/ops"><body><nav epub:type="toc">'
        '<a href="text/two.xhtml#a">A</a><a href="text/two.xhtml#b">B</a></nav></body></html>'
    )
    one = '<html><body><h1 id="a">First</h1><p>x</p><p id="b">y</p><p>z</p></body></html>'
    package = {"OEBPS/nav.xhtml": nav, "OEBPS/text/two.xhtml": one}
    document = read_document(write_epub(tmp_path / "a.epub", more=package))
    assert shape(document)[-2:] == [("A", "# First", "x"), ("B", "", "y\n\nz")]


ENCRYPTED = """<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"
xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData><enc:EncryptionMethod
Algorithm="{}"/></enc:EncryptedData></encryption>"""


def test_a_protected_epub_is_refused_but_hidden_fonts_are_not(tmp_path: Path) -> None:
    name = "META-INF/encryption.xml"
    drm = ENCRYPTED.format("http://www.w3.org/2001/04/xmlenc#aes128-cbc")
    with pytest.raises(TextError, match="protected by DRM"):
        read_document(write_epub(tmp_path / "a.epub", more={name: drm}))
    fonts = ENCRYPTED.format("http://www.idpf.org/2008/embedding")
    assert read_document(write_epub(tmp_path / "b.epub", more={name: fonts})).chapters


@pytest.mark.parametrize(
    ("name", "contents", "error", "match"),
    [
        ("a.pdf", b"x", ConfigError, r"\.pdf extension; use one of \.txt, \.md, \.html, \.epub"),
        ("a", b"x", ConfigError, "no extension"),
        ("a.txt", b" \n\n ", TextError, "holds no text"),
        ("a.html", b"<script>x</script>", TextError, "holds no text"),
        ("a.txt", b"caf\xe9", TextError, "not text in UTF-8: save it as UTF-8"),
        ("a.epub", b"PK nonsense", TextError, "is no EPUB, or is damaged"),
    ],
)
def test_what_cannot_be_read(read, name: str, contents: bytes, error: type, match: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=match):
        read(name, contents)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="cannot be opened: No such file"):
        read_document(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("ranges", "chosen"), [("2-3", [1, 2]), ("1, 4", [0, 3]), ("3-", [2, 3]), ("2,1-2", [0, 1])]
)
def test_chapters_can_be_chosen(ranges: str, chosen: list[int]) -> None:
    assert chosen_chapters(ranges, 4) == chosen


@pytest.mark.parametrize("ranges", ["", "0", "5", "3-2", "a", "2-9", "-2", "1;2"])
def test_other_ranges_are_refused(ranges: str) -> None:
    with pytest.raises(ConfigError, match=r"range|do not exist"):
        chosen_chapters(ranges, 4)
