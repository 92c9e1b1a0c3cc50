"""What reaches the server from a browser besides its own page: an extension, and another site.

The site does what KoboldAI Lite does (index.html of LostRuins/lite.koboldai.net, 2026-07-21).
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright

from tests.page.conftest import FLAGS
from tests.server.process import Served, served

#: Speaks as KoboldAI Lite does, and returns the seconds of sound.
KOBOLD = """
async (url) => {
  const answer = await fetch(`${url}/v1/audio/speech`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: "Bearer " },
    body: JSON.stringify({ model: "tts-1", input: "Hello from a page.", voice: "alloy" }),
  });
  const sound = await new AudioContext().decodeAudioData(await answer.arrayBuffer());
  return sound.duration;
}
"""
#: Asks for the models, then speaks, as Read Aloud's service worker does.
EXTENSION = """
async (url) => {
  const models = await (await fetch(`${url}/v1/models`)).json();
  const answer = await fetch(`${url}/v1/audio/speech`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ model: "tts-1", input: "Hello from an extension.", voice: "alloy" }),
  });
  const bytes = (await answer.arrayBuffer()).byteLength;
  return { models: models.data.length, status: answer.status, bytes };
}
"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """An empty page of another origin."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>A page</title>")
    handler = functools.partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()
        thread.join()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_a_page_of_another_site_needs_cors(server: Served, site: str, page: Page) -> None:
    page.goto(site)
    with pytest.raises(Exception, match="Failed to fetch"):
        page.evaluate(KOBOLD, server.url)
    assert f"--cors {site}" in server.log


def test_a_page_that_is_allowed_speaks(tmp_path: Path, site: str, page: Page) -> None:
    with served(tmp_path, "--cors", site) as server:
        page.goto(site)
        assert page.evaluate(KOBOLD, server.url) > 0.5


def test_an_extension_speaks(
    tmp_path: Path, server: Served, playwright: Playwright, chromium: str
) -> None:
    extension = tmp_path / "extension"
    extension.mkdir()
    manifest = {
        "manifest_version": 3,
        "name": "reads aloud",
        "version": "1",
        "host_permissions": ["http://127.0.0.1/*"],
        "background": {"service_worker": "worker.js"},
    }
    (extension / "manifest.json").write_text(json.dumps(manifest))
    (extension / "worker.js").write_text("")
    load = [f"--load-extension={extension}", f"--disable-extensions-except={extension}"]
    context = playwright.chromium.launch_persistent_context(
        str(tmp_path / "profile"),
        executable_path=chromium,
        args=[*FLAGS, *load],
        ignore_default_args=["--disable-extensions"],
    )
    try:
        worker = next(iter(context.service_workers), None) or context.wait_for_event(
            "serviceworker", timeout=60_000
        )
        assert worker.url.startswith("chrome-extension://")
        found = worker.evaluate(EXTENSION, server.url)
    finally:
        context.close()
    assert found["models"] > 0
    assert found["status"] == 200
    assert found["bytes"] > 4_000
