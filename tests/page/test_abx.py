"""The listening test of docs/watermark.md: what is played, how answers are counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, expect

from tests.page.conftest import FLAGS

SCRIPT = Path(__file__).parents[2] / "docs" / "abx.js"
PAGE = """
<table><tbody><tr><td>other</td></tr></tbody></table>
<table><tbody>
  <tr><td>one</td><td><audio src="a1"></audio></td><td><audio src="b1"></audio></td></tr>
  <tr><td>two</td><td><audio src="a2"></audio></td><td><audio src="b2"></audio></td></tr>
</tbody></table>
<div class="abx"></div>
"""
#: Notes what is played, and draws as a test says.
STAND_INS = """
window.heard = [];
HTMLMediaElement.prototype.play = function () { window.heard.push(this.src.slice(-2)); };
window.drawn = [];
Math.random = () => window.drawn.shift() ?? 0;
"""


@pytest.fixture
def browser(playwright: Playwright, chromium: str) -> Browser:
    return playwright.chromium.launch(executable_path=chromium, args=FLAGS)


def test_trials_are_played_and_counted(browser: Browser) -> None:
    page = browser.new_page()
    page.route("http://abx/", lambda route: route.fulfill(body=PAGE, content_type="text/html"))
    page.goto("http://abx/")
    page.evaluate(STAND_INS)
    page.evaluate("window.drawn = [0.9, 0.1, 0.9]")
    page.add_script_tag(path=SCRIPT)
    expect(page.locator("option")).to_have_text(["one", "two"])
    status, say = page.get_by_role("status"), page.get_by_role("button")
    for name in "Play A", "Play B", "Play X":
        say.get_by_text(name).click()
    say.get_by_text("X is B").click()
    expect(status).to_contain_text("Right. 1 of 1 right; guessing gets as many")
    expect(status).to_contain_text("probability of 50 %")
    say.get_by_text("Play X").click()
    say.get_by_text("X is B").click()
    expect(status).to_contain_text("Wrong. 1 of 2 right")
    expect(status).to_contain_text("probability of 75 %")
    page.get_by_role("combobox").select_option("two")
    expect(status).to_contain_text("A is unmarked, B is marked")
    say.get_by_text("Play X").click()
    assert page.evaluate("window.heard") == ["a1", "b1", "b1", "a1", "a2"]
    for _ in range(10):
        say.get_by_text("X is A").click()
    expect(status).to_contain_text("10 of 10 right")
    expect(status).to_contain_text("probability of 0.098 %")
    expect(say.get_by_text("X is A")).to_be_disabled()
    say.get_by_text("Begin again").click()
    expect(say.get_by_text("X is A")).to_be_enabled()
    expect(status).to_contain_text("A is unmarked, B is marked")
    browser.close()
