"""The routes of the page; tests/page tests the page itself."""

from __future__ import annotations

import re

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from causerie.consent import QUESTION
from causerie.server.routes import page

#: How a script names another one.
IMPORT = r'(?:from |new URL\()"\./([^"]+)"'


@pytest.fixture
def client() -> TestClient:
    app = FastAPI(docs_url=None, redoc_url=None)
    app.include_router(page.router)
    return TestClient(app)


def test_all_linked_files_exist(client: TestClient) -> None:
    index = client.get("/")
    assert index.headers["content-type"] == "text/html; charset=utf-8"
    named = set(re.findall(r'(?:src|href)="(page/[^"]+)"', index.text))
    assert "page/app.js" in named
    for path in page.FOLDER.glob("*.js"):
        named |= {f"page/{name}" for name in re.findall(IMPORT, path.read_text())}
    assert {f"page/{path.name}" for path in page.FOLDER.iterdir()} - {"page/index.html"} == named
    kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    for name in named:
        answer = client.get(f"/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].split(";")[0] == kinds[name.rpartition(".")[2]]


def test_the_page_asks_for_consent_in_the_words_of_the_commands(client: TestClient) -> None:
    assert f"{QUESTION} Yes.</span>" in client.get("/").text


def test_no_inline_code_and_no_foreign_origins(client: TestClient) -> None:
    index = client.get("/")
    policy = index.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\s(?:style|on\w+)=", index.text) == []
    for path in page.FOLDER.iterdir():
        addresses = re.findall(r"https?://[^\s\"'`<)]+", path.read_text())
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, path.name


def test_cached_files_are_not_sent_again(client: TestClient) -> None:
    first = client.get("/page/app.js")
    assert first.headers["cache-control"] == "no-cache"
    tag = first.headers["etag"]
    again = client.get("/page/app.js", headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    changed = client.get("/page/app.js", headers={"If-None-Match": '"other"'})
    assert changed.status_code == 200


@pytest.mark.parametrize(
    "name", ["missing.js", "..%2Fapp.py", "__init__.py", "%2e%2e%2fsettings.py"]
)
def test_other_files_are_not_served(client: TestClient, name: str) -> None:
    assert client.get(f"/page/{name}").status_code == 404


def test_the_docs_come_from_the_package_alone(client: TestClient) -> None:
    docs = client.get("/docs")
    assert docs.status_code == 200
    assert docs.headers["content-type"] == "text/html; charset=utf-8"
    policy = docs.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\s(?:style|on\w+)=", docs.text) == []
    named = set(re.findall(r'(?:src|href)="(docs/[^"]+)"', docs.text))
    assert named == {f"docs/{path.name}" for path in page.DOCS.iterdir()} - {"docs/docs.html"}
    for name in named:
        answer = client.get(f"/{name}")
        assert answer.status_code == 200
        assert "://" not in answer.text
    assert "://" not in docs.text
    assert client.get("/docs/app.js").status_code == 404
    assert client.get("/redoc", follow_redirects=False).headers["location"] == "docs"
