"""Small books for tests."""

from __future__ import annotations

import base64
import zipfile
from pathlib import Path

#: A PNG of one pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

CONTAINER = """<?xml version="1.0"?><container version="1.0"
xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile
full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""

PACKAGE = """<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The Small Book</dc:title>
<dc:creator>Ann Lee</dc:creator><dc:language>en</dc:language><meta name="cover" content="c"/>
</metadata><manifest>
<item id="c" href="cover.png" media-type="image/png"/>
<item id="t" href="title.xhtml" media-type="application/xhtml+xml"/>
<item id="one" href="text/one%20a.xhtml" media-type="application/xhtml+xml"/>
<item id="more" href="text/one-b.xhtml" media-type="application/xhtml+xml"/>
<item id="two" href="text/two.xhtml" media-type="application/xhtml+xml"/>
<item id="extra" href="text/extra.xhtml" media-type="application/xhtml+xml"/>
{contents}</manifest>
<spine toc="ncx"><itemref idref="t"/><itemref idref="one"/><itemref idref="more"/>
<itemref idref="two"/><itemref idref="extra" linear="no"/></spine></package>"""

NAV = """<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><body>
<nav epub:type="toc"><ol><li><a href="text/one%20a.xhtml">The Start</a><ol>
<li><a href="text/one%20a.xhtml#later">Later</a></li></ol></li>
<li><a href="text/two.xhtml#h">The End</a></li></ol></nav></body></html>"""

NCX = """<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/" version="2005-1"><navMap>
<navPoint id="a"><navLabel><text>The Start</text></navLabel><content src="text/one%20a.xhtml"/>
</navPoint><navPoint id="b"><navLabel><text>The End</text></navLabel>
<content src="text/two.xhtml#h"/></navPoint></navMap></ncx>"""


def page(body: str) -> str:
    return f"""<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">
<head><title>x</title></head><body>{body}</body></html>"""


def write_epub(path: Path, *, contents: str = "nav", more: dict[str, str] | None = None) -> Path:
    """An EPUB of a title page and two chapters, the first in two files.

    Args:
        contents: nav, ncx or none.
        more: further files.
    """
    items = {
        "nav": '<item id="n" href="nav.xhtml" media-type="application/xhtml+xml" '
        'properties="nav"/>',
        "ncx": '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>',
        "none": "",
    }
    files = {
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": PACKAGE.format(contents=items[contents]),
        "OEBPS/nav.xhtml": NAV,
        "OEBPS/toc.ncx": NCX,
        "OEBPS/title.xhtml": page("<p>The Small Book</p>"),
        "OEBPS/text/one a.xhtml": page(
            '<h1>One</h1><p>It be&#xad;gan.<a epub:type="noteref" href="#n">1</a></p>'
            '<h2 id="later">Later</h2><p>It went on &amp; on.</p>'
            '<aside epub:type="footnote" id="n"><p>A note.</p></aside>'
        ),
        "OEBPS/text/one-b.xhtml": page("<p>And on.</p>"),
        "OEBPS/text/two.xhtml": page('<h1 id="h">Two</h1><p>It ended.</p>'),
        "OEBPS/text/extra.xhtml": page("<p>Not in the book.</p>"),
        **(more or {}),
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("OEBPS/cover.png", PNG)
        for name, text in files.items():
            archive.writestr(name, text)
    return path
