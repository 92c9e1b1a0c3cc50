"""Headless Chromium and a real server."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from tests.server.process import Served, served

expect.set_options(timeout=30_000)  # ms; long, for busy machines

#: No other network traffic, and a fake microphone.
FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync
    --disable-background-networking --disable-component-update
    --use-fake-device-for-media-stream --use-fake-ui-for-media-stream
""".split()
#: Records what is played, and when.
RECORD_PLAYBACK = """
window.played = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...how) {
  const samples = this.buffer.getChannelData(0);
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const { duration: seconds } = this.buffer;
  window.played.push({ at: performance.now(), when: how[0], seconds, sum });
  return start.apply(this, how);
};
"""


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as here:
        yield here


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "the page is tested in Chromium: install the package chromium"
    return program


@pytest.fixture(scope="session")
def browser(playwright: Playwright, chromium: str) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("server")) as running:
        yield running


Open = Callable[..., Page]


@contextlib.contextmanager
def opening(browser: Browser) -> Iterator[Open]:
    """Opens the page; fails at the end if it logged an error or contacted another host."""
    contexts, problems = [], list[str]()

    def opened(
        url: str,
        width: int = 1280,
        *,
        wait_for: str = "#speak-voices > *",
        script: str = "",
        **options: object,
    ) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 860}, **options)  # type: ignore[arg-type]
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        page.add_init_script(RECORD_PLAYBACK + script)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console",
            lambda message: (
                problems.append(message.text)
                if message.type in ("error", "warning") and "Failed to load" not in message.text
                else None
            ),
        )
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((url, "data:", "blob:"))
                else problems.append(f"requested {request.url}")
            ),
        )
        page.goto(url)
        page.wait_for_selector(wait_for)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """See `opening`."""
    with opening(browser) as opened:
        yield opened


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    from causerie import TTS
    from tests.page.test_page import TEXT

    return TTS.from_pretrained().generate(TEXT, voice="mia", seed=1).save(tmp_path / "me.wav")
