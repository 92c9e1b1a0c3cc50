"""The web page and the page of the docs: the files of `page/` and `docs_page/`, with their headers.

There is no build step and no template, and nothing comes from another host. The pages get their
data from the API, which this module does not know.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.responses import RedirectResponse

FOLDER = Path(__file__).parent.parent / "page"
DOCS = Path(__file__).parent.parent / "docs_page"

# Types by suffix: the table of some machines has text/plain for scripts.
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

# Nothing from other origins and nothing inline. Previews and recordings are played from blobs.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "media-src 'self' blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Cache-Control": "no-cache",  # revalidate each time; the ETag makes that cheap
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, kw_only=True)
class _File:
    content: bytes
    media_type: str
    tag: str


@cache
def _files(folder: Path) -> dict[str, _File]:
    """The files of a page by name; no other file is served."""
    files = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in _TYPES:
            content = path.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
            files[path.name] = _File(content=content, media_type=_TYPES[path.suffix], tag=tag)
    return files


def _response(request: Request, name: str, folder: Path = FOLDER) -> Response:
    file = _files(folder).get(name)
    if file is None:
        raise HTTPException(404, f"the page has no file {name!r}")
    headers = {**_HEADERS, "ETag": file.tag}
    tags = [tag.strip().removeprefix("W/") for tag in _header(request, "if-none-match").split(",")]
    if file.tag in tags or "*" in tags:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)


def _header(request: Request, name: str) -> str:
    return str(request.headers.get(name, ""))


@router.api_route("/", methods=["GET", "HEAD"])
def index(request: Request) -> Response:
    """Serve the page."""
    return _response(request, "index.html")


@router.api_route("/page/{name}", methods=["GET", "HEAD"])
def part(request: Request, name: str) -> Response:
    """Serve a script, the style or the icon of the page."""
    return _response(request, name)


@router.get("/docs")
def docs(request: Request) -> Response:
    """Serve the page that shows openapi.json."""
    return _response(request, "docs.html", DOCS)


@router.get("/docs/{name}")
def docs_part(request: Request, name: str) -> Response:
    """Serve the script or the style of that page."""
    return _response(request, name, DOCS)


@router.get("/redoc")
def redoc() -> Response:
    """Send the readers of FastAPI's other page to the docs."""
    return RedirectResponse("docs")
