"""Prepares pages for MkDocs: adds those kept outside docs/, and resolves links out of it.

README.md, CHANGELOG.md, CONTRIBUTING.md, the notebook and the scripts of examples/ become pages, so
that each text has one source. A link to a page of the site stays on the site; a link to any other
file of the repository becomes an address of the repository. A link to sound becomes a player.
"""

from __future__ import annotations

import json
import logging
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
#: Files of the repository that are pages of the site.
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "examples/tour.ipynb": "getting-started.md",
    "examples": "examples.md",
}
ICON = "src/causerie/server/page/icon.svg"
RAW = "https://raw.githubusercontent.com/causerie/causerie/main/"

log = logging.getLogger("mkdocs.hooks")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are kept outside docs/."""
    for source, page in PAGES.items():
        path = ROOT / source
        if path.is_dir():
            content = scripts_as_markdown(path)
        elif path.suffix == ".ipynb":
            content = notebook_as_markdown(path)
        else:
            content = path.read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=content))
    files.append(File.generated(config, "icon.svg", abs_src_path=str(ROOT / ICON)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Resolve links outside of code, and cut from each fence the word that tests read."""
    uri = page.file.src_uri
    source = next((path for path, one in PAGES.items() if one == uri), f"docs/{uri}")
    lines, in_fence = [], False
    for line in markdown.splitlines():
        if line.startswith("```"):
            in_fence = not in_fence
            line = line.partition(" ")[0]
        elif not in_fence:
            line = re.sub(
                r"`[^`]*`|\]\(([^)\s]+)\)",
                lambda found: (
                    f"]({resolve(found[1], source, uri, config.repo_url)})"
                    if found[1]
                    else found[0]
                ),
                line,
            )
        lines.append(line)
    return "\n".join(lines)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put a player in place of each link to sound."""
    return re.sub(
        r'<a href="([^"]+\.flac)">([^<]*)</a>',
        r'<audio controls preload="none" src="\1" aria-label="\2"></audio>',
        html,
    )


def resolve(link: str, source: str, uri: str, repository: str) -> str:
    """The link of a page as the site needs it.

    Args:
        source: the file of the repository that the link stands in.
        uri: the page of the site that the file becomes.
    """
    for prefix in (f"{repository}/blob/main/", f"{repository}/tree/main/", RAW):
        if link.startswith(prefix):
            path, _, anchor = link.removeprefix(prefix).partition("#")
            break
    else:
        if "://" in link or link.startswith(("#", "mailto:")):
            return link
        path, _, anchor = link.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    if not (ROOT / path).exists():
        log.warning(f"{source} has a link to {link!r}, but there is no file {path}")
    if path in PAGES:
        target = posixpath.relpath(PAGES[path], posixpath.dirname(uri) or ".")
    elif path.startswith("docs/") and (ROOT / path).is_file():
        target = posixpath.relpath(path.removeprefix("docs/"), posixpath.dirname(uri) or ".")
    else:
        target = f"{repository}/{'tree' if (ROOT / path).is_dir() else 'blob'}/main/{path}"
    return f"{target}#{anchor}" if anchor else target


def notebook_as_markdown(path: Path) -> str:
    """The cells of a notebook, code as fences."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        parts.append(f"```python\n{text}\n```" if cell["cell_type"] == "code" else text)
    return "\n\n".join(parts)


def scripts_as_markdown(folder: Path) -> str:
    """The scripts of a folder, each under its name."""
    parts = ["# Examples", "Each script runs offline with the bundled model."]
    for path in sorted(folder.glob("*.py")):
        code = path.read_text(encoding="utf-8").strip()
        parts.append(f"## {path.name}\n\n```python\n{code}\n```")
    return "\n\n".join(parts)
