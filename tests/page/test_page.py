"""The page in Chromium, used with mouse and keyboard."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import soundfile
from playwright.sync_api import Page, expect

from tests.page.conftest import Open
from tests.patience import PATIENCE_S
from tests.server.process import Served, served

TEXT = "The sun came out after the storm, and we walked along the beach until it was dark."
LONG = "We go down to the river, and we cross the bridge as long as it stands. " * 12


def played(page: Page) -> list[dict[str, Any]]:
    sounds: list[dict[str, Any]] = page.evaluate("window.played")
    return sounds


def wait_until_played(page: Page, seconds: float) -> None:
    page.wait_for_function(
        "min => window.played.reduce((sum, one) => sum + one.seconds, 0) >= min", arg=seconds
    )


def test_the_speak_button_plays_audio(open_page: Open, server: Served) -> None:
    page = open_page(server.url)
    assert page.locator("#text").input_value()  # there is an example text
    page.get_by_role("button", name="Speak").click()
    expect(page.locator("#speak-take .figures")).to_contain_text("real time")
    expect(page.locator("#speak-take .figures")).to_contain_text("first audio")
    wait_until_played(page, 2)
    assert sum(one["sum"] for one in played(page)) > 10


def test_audio_plays_while_it_is_made(open_page: Open, server: Served) -> None:
    page = open_page(server.url)
    page.locator("#text").fill(LONG)
    page.locator("#text").press("Control+Enter")
    expect(page.locator("#speak-take .figures")).to_contain_text("real time", timeout=30_000)
    ended = page.wait_for_function(
        """() => performance.getEntriesByType("resource")
             .find((one) => one.name.endsWith("/v1/audio/speech"))?.responseEnd""",
        timeout=60_000,
    ).json_value()
    first = played(page)[0]["at"]
    assert first < ended - 300  # ms; the whole reply takes a second or more


def test_stop_frees_the_slot(open_page: Open, server: Served) -> None:
    page = open_page(server.url)
    page.locator("#text").fill(LONG * 4)
    page.locator("#text").press("Control+Enter")
    wait_until_played(page, 0.1)
    page.get_by_role("button", name="Stop").click()
    for _ in range(40):
        if httpx.get(f"{server.url}/ready").json()["active"] == 0:
            return
        time.sleep(0.05)
    raise AssertionError("the reply continues")


def test_errors_are_shown(open_page: Open, tmp_path: Path) -> None:
    with served(tmp_path) as server:
        page = open_page(server.url)
        page.locator("#text").fill("<speak>Hello.")
        page.get_by_role("button", name="Speak").click()
        expect(page.locator("#speak-take .error")).to_contain_text("SSML")
        server.terminate()
        server.process.wait(PATIENCE_S)
        page.locator("#text").fill("Hello.")
        page.get_by_role("button", name="Speak").click()
        expect(page.locator("#speak-take .error")).not_to_be_empty()


def test_a_required_key_is_requested(open_page: Open, tmp_path: Path) -> None:
    with served(tmp_path, "--api-key", "right") as server:
        page = open_page(server.url, wait_for="#key:not([hidden])")
        expect(page.locator("#key")).to_be_visible()
        page.locator("#key-field").fill("right")
        page.locator("#key-field").press("Enter")
        expect(page.locator("#speak-voices")).to_contain_text("Heart", ignore_case=True)
        page.get_by_role("button", name="Speak").click()
        wait_until_played(page, 1)


def test_a_deleted_voice_is_named_in_the_error(open_page: Open, server: Served, wav: Path) -> None:
    with wav.open("rb") as sample:
        voice = httpx.post(
            f"{server.url}/v1/audio/voices",
            data={"name": "Temporary", "consent_attested": "true", "ref_text": TEXT},
            files={"audio_sample": sample},
            timeout=30,
        ).json()
    page = open_page(server.url)
    page.locator("#speak-voices label").filter(has_text="Temporary").click()
    httpx.delete(f"{server.url}/v1/audio/voices/{voice['id']}")
    page.locator("#speak-take .go").click()
    expect(page.locator("#speak-take .error")).to_contain_text(voice["id"])
    expect(page.locator("#speak-take .go")).to_contain_text("Speak")  # ready for another take


def test_downloads_contain_the_audio_that_was_played(
    open_page: Open, server: Served, tmp_path: Path
) -> None:
    page = open_page(server.url)
    page.locator("#text").fill("Good morning to you.")
    page.locator("#text").press("Control+Enter")
    lengths = []
    for name in ("wav", "mp3"):
        with page.expect_download() as saved:
            page.get_by_role("button", name=f"Download as {name}").click()
        path = tmp_path / saved.value.suggested_filename
        assert path.name == f"causerie-good-morning-to-you.{name}"
        saved.value.save_as(path)
        lengths.append(soundfile.info(path).duration)
    played_s = sum(one["seconds"] for one in played(page))
    assert lengths[0] == pytest.approx(played_s, abs=0.001)
    assert lengths[1] == pytest.approx(played_s, abs=0.15)  # the same take, padded by mp3


def test_a_stopped_take_can_be_replayed(open_page: Open, server: Served) -> None:
    page = open_page(server.url)
    page.get_by_role("button", name="Speak").click()
    wait_until_played(page, 1)
    page.keyboard.press("Escape")
    expect(page.locator("#speak-take .go")).to_contain_text("Speak")
    before = len(played(page))
    page.get_by_role("button", name="Play again").click()
    page.wait_for_function("before => window.played.length === before + 1", arg=before)
    expect(page.locator("#speak-take .go")).to_contain_text("Stop")
    expect(page.locator("#speak-take .go")).to_be_focused()


def test_the_keyboard_is_enough(open_page: Open, server: Served) -> None:
    page = open_page(server.url)
    page.keyboard.press("Control+Enter")  # the text has the focus
    wait_until_played(page, 1)
    page.keyboard.press("Escape")
    page.locator("#tab-speak").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#dialogue")).to_be_visible()
    page.keyboard.press("End")
    expect(page.locator("#api")).to_be_visible()
    expect(page.locator("#tab-api")).to_be_focused()


def test_a_dialogue_is_spoken(open_page: Open, server: Served) -> None:
    page = open_page(server.url)
    page.get_by_role("tab", name="Dialogue").click()
    page.get_by_role("button", name="Add a turn").click()
    page.locator("#turns textarea").last.fill("That is all.")
    page.get_by_role("button", name="Move turn 5 up").click()
    expect(page.get_by_role("button", name="Move turn 4 up")).to_be_focused()
    page.get_by_role("button", name="Remove turn 5").click()
    texts = page.locator("#turns textarea").evaluate_all("all => all.map((one) => one.value)")
    assert [len(texts), texts[-1]] == [4, "That is all."]
    page.get_by_role("button", name="Speak").click()
    expect(page.locator("#dialogue-take .figures")).to_contain_text("real time")
    wait_until_played(page, 4)


def test_a_voice_is_added_used_and_deleted(open_page: Open, server: Served, wav: Path) -> None:
    page = open_page(server.url)
    page.get_by_role("tab", name="Voices").click()
    page.locator("#file").set_input_files(wav)
    page.locator("#transcript").fill(TEXT)
    page.locator("#voice-name").fill("Ada")
    page.get_by_role("button", name="Add voice").click()
    expect(page.locator("#add-error")).not_to_be_empty()  # no consent yet
    page.locator("#consent").check()
    page.get_by_role("button", name="Add voice").click()
    expect(page.locator("#voice-list")).to_contain_text("Ada")
    page.get_by_role("tab", name="Speak", exact=True).click()
    page.locator("#speak-voices label").filter(has_text="Ada").click()
    page.locator("#speak-take .go").click()
    expect(page.locator("#speak-take .figures")).to_contain_text("real time")
    listed = httpx.get(f"{server.url}/v1/audio/voices").json()["uploaded_voices"]
    assert [one["name"] for one in listed] == ["Ada"]
    page.get_by_role("tab", name="Voices").click()
    page.get_by_role("button", name="Delete Ada").click()
    page.get_by_role("button", name="Really delete Ada?").click()
    expect(page.locator("#voice-list")).not_to_contain_text("Ada")
    assert httpx.get(f"{server.url}/v1/audio/voices").json()["uploaded_voices"] == []


def test_the_microphone_records(open_page: Open, server: Served) -> None:
    page = open_page(server.url)  # Chromium's fake microphone beeps
    page.get_by_role("tab", name="Voices").click()
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#sample-state")).to_contain_text("Recording · 1.")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#sample-state")).to_contain_text("Recording · ")
    expect(page.locator("#transcript")).not_to_have_value("")  # the text to read aloud
    page.get_by_role("button", name="Listen").click()
    wait_until_played(page, 0.5)
    page.get_by_role("button", name="Add voice").click()
    expect(page.locator("#add-error")).to_contain_text("too short")


def test_a_preview_is_loaded(open_page: Open, server: Served) -> None:
    page = open_page(server.url)
    with page.expect_response(lambda answer: "/theo/preview" in answer.url) as caught:
        page.get_by_role("button", name="Preview theo").click()
    assert caught.value.status in (200, 206)


def test_a_file_is_checked_for_the_watermark(
    open_page: Open, server: Served, wav: Path, tmp_path: Path
) -> None:
    page = open_page(server.url)
    page.get_by_role("tab", name="Check").click()
    page.get_by_label("Drop a sound file here, or choose one").set_input_files(wav)
    expect(page.locator("#check-result")).to_contain_text("me.wav: Generated by this server: ")
    soundfile.write(tmp_path / "quiet.wav", [0.0] * 24_000, 24_000)
    page.locator("#check-file").set_input_files(tmp_path / "quiet.wav")
    expect(page.locator("#check-result")).to_contain_text("No watermark of this server was found")
    page.locator("#drop").evaluate(
        """(zone) => {
             const dataTransfer = new DataTransfer();
             dataTransfer.items.add(new File(["no sound"], "no.mp3"));
             for (const type of ["dragover", "drop"])
               zone.dispatchEvent(new DragEvent(type, { dataTransfer, cancelable: true }));
           }"""
    )
    expect(page.locator("#check-error")).to_contain_text("cannot be read as sound")
    expect(page.locator("#check-result")).to_be_empty()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_is_readable(
    open_page: Open, server: Served, width: int, scheme: str
) -> None:
    page = open_page(server.url, width, color_scheme=scheme)
    for name in ("Speak", "Dialogue", "Talk", "Voices", "Check", "API"):
        page.get_by_role("tab", name=name, exact=True).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(UNNAMED) == []
        assert page.evaluate(FAINT) == []


#: Controls without an accessible name.
UNNAMED = """
[...document.querySelectorAll("button, input, textarea, select, a")]
  .filter((one) => one.offsetParent !== null && !(
    one.getAttribute("aria-label") || one.title || one.textContent.trim() ||
    (one.labels && one.labels.length && one.labels[0].textContent.trim()) ||
    document.getElementById(one.getAttribute("aria-labelledby"))))
  .map((one) => one.outerHTML.slice(0, 100))
"""
#: Text whose contrast with its background is below 4.5, by WCAG's formula.
FAINT = """
(() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const [r, g, b, a = 1] = parts(getComputedStyle(at).backgroundColor);
      if (a === 1) return [r, g, b];
      if (getComputedStyle(at).backgroundImage !== "none" && at !== document.body) return null;
    }
    return parts(getComputedStyle(document.documentElement).backgroundColor).slice(0, 3);
  };
  const faint = [];
  for (const one of document.querySelectorAll("p, span, button, label, h2, a, code")) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || one.offsetParent === null || one.disabled || one.closest("[disabled]")) continue;
    const back = behind(one);
    const [r, g, b, a = 1] = parts(getComputedStyle(one).color);
    if (!back || a < 1) continue;
    const [x, y] = [light([r, g, b]), light(back)].sort((p, q) => q - p);
    if ((x + 0.05) / (y + 0.05) < 4.5) faint.push(one.textContent.trim().slice(0, 40));
  }
  return faint;
})()
"""


def test_the_snippets_run(open_page: Open, server: Served, tmp_path: Path) -> None:
    """curl and Python; tests/clients runs the others."""
    page = open_page(server.url)
    page.get_by_role("tab", name="API", exact=True).click()
    for name, command in (("curl", ["bash", "-euc"]), ("Python", [sys.executable, "-c"])):
        page.get_by_role("tab", name=name, exact=True).click()
        code = page.locator("#snippet-code").inner_text()
        done = subprocess.run(
            [*command, code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{code}\n{done.stderr}"
    assert len((tmp_path / "speech.mp3").read_bytes()) > 10_000


def test_the_docs_show_every_route_and_its_fields(open_page: Open, server: Served) -> None:
    page = open_page(server.url)
    page.goto(f"{server.url}/docs")
    page.wait_for_selector("details")
    schema = httpx.get(f"{server.url}/openapi.json").json()
    paths = page.locator("summary code").all_text_contents()
    assert {*schema["paths"], "SpeechRequest"} <= {*paths}
    page.locator("#find").fill("/v1/audio/speech")
    expect(page.locator("summary", has_text="/v1/models").first).to_be_hidden()
    speech = page.locator("details", has_text="POST/v1/audio/speech").first
    speech.locator("summary").click()
    for field in schema["components"]["schemas"]["SpeechRequest"]["properties"]:
        expect(speech.get_by_text(field, exact=True).first).to_be_visible()
