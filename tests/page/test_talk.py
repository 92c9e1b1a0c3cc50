"""The Talk tab in Chromium, whose microphone plays a file in real time."""

from __future__ import annotations

import base64
import functools
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page, Playwright, WebSocketRoute, expect

from causerie.errors import AudioError, ConfigError
from causerie.server.realtime import hearing
from causerie.tts import TTS
from tests.page.conftest import FLAGS, Open, opening
from tests.patience import PATIENCE_S
from tests.server.running import Running, petit, running
from tests.talk.chat_server import chat_server

QUESTION = "Is it far to the station?"
ANSWER = "No, it is not far. Ten minutes on foot."
LONG = "First we go down to the river, and we cross the bridge as long as it stands. " * 5
RATE = 24_000

#: Keeps what the page sends and receives, and hears what it plays.
RECORD_TALK = """
window.events = [];
window.WebSocket = class extends WebSocket {
  constructor(...how) {
    super(...how);
    this.addEventListener("message", ({ data }) => {
      const { type, item_id, audio_end_ms, response } = JSON.parse(data);
      window.events.push({ at: performance.now(), type, item_id, audio_end_ms, response });
    });
  }
  send(text) {
    const { currentTime: time, outputLatency: lag } = window.heard?.context ?? {};
    window.events.push({ at: performance.now(), sent: JSON.parse(text), time, lag });
    super.send(text);
  }
};
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...how) {
  if (this instanceof AudioBufferSourceNode) {
    this.context.heard ??= new AnalyserNode(this.context, { fftSize: 2048 });
    window.heard = this.context.heard;
    connect.call(this, this.context.heard);
  }
  return connect.call(this, to, ...how);
};
window.loudness = () => {
  const samples = new Float32Array(2048);
  window.heard?.getFloatTimeDomainData(samples);
  return samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0);
};
"""

#: Keeps the tracks of the microphone.
KEEP_TRACKS = """
window.tracks = [];
const getUserMedia = MediaDevices.prototype.getUserMedia;
MediaDevices.prototype.getUserMedia = async function (...how) {
  const stream = await getUserMedia.apply(this, how);
  window.tracks.push(...stream.getTracks());
  return stream;
};
"""


class Script:
    """A recognizer that hears what the test wants, when it wants."""

    def __init__(self) -> None:
        self.text, self.is_ready = QUESTION, threading.Event()
        self.is_ready.set()

    def __call__(self, samples: np.ndarray) -> str:
        assert self.is_ready.wait(PATIENCE_S)
        return self.text


SCRIPT = Script()


@functools.cache
def tts() -> TTS:
    return petit(recognizer=SCRIPT)


@functools.cache
def spoken() -> np.ndarray:
    return petit().generate(QUESTION, voice="oscar", seed=1).samples


@pytest.fixture(autouse=True)
def hears() -> Iterator[Script]:
    yield SCRIPT
    SCRIPT.text = QUESTION
    SCRIPT.is_ready.set()


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server without a language model."""
    with running(tmp_path_factory.mktemp("voices"), tts()) as here:
        yield here


@pytest.fixture
def microphone(
    playwright: Playwright, chromium: str, tmp_path: Path
) -> Iterator[Callable[..., Open]]:
    """Opens pages in a browser whose microphone hears these parts; numbers are seconds of quiet."""
    closing = []

    def hearing(*parts: np.ndarray | float) -> Open:
        noise = np.random.default_rng(0).standard_normal(60 * RATE).astype(np.float32) * 0.0005
        sounds = [noise[: int(p * RATE)] if isinstance(p, float) else p for p in parts]
        path = tmp_path / "microphone.wav"
        soundfile.write(path, np.concatenate(sounds), RATE)
        flag = f"--use-file-for-fake-audio-capture={path}%noloop"
        browser = playwright.chromium.launch(executable_path=chromium, args=[*FLAGS, flag])
        pages = opening(browser)
        closing.append((pages, browser))
        return functools.partial(pages.__enter__(), script=RECORD_TALK)

    yield hearing
    for pages, browser in closing:
        pages.__exit__(None, None, None)
        browser.close()


def open_tab(open_page: Open, url: str, **options: Any) -> Page:
    page = open_page(url, **options)
    page.get_by_role("tab", name="Talk").click()
    return page


def start(page: Page) -> None:
    page.get_by_role("button", name="Start talking").click()


def until(page: Page, kind: str, count: int = 1) -> None:
    """Wait for an event that is received, or sent."""
    page.wait_for_function(
        "([kind, count]) => window.events.filter((e) => (e.type ?? e.sent.type) === kind)"
        ".length >= count",
        arg=[kind, count],
    )


def events(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate("window.events")
    return found


def first(events: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(e for e in events if kind in (e.get("type"), e.get("sent", {}).get("type")))


def speech_ended_at(events: list[dict[str, Any]]) -> float:
    """When the last loud sample of what the page sent was sent, in ms."""
    blocks = [
        (e["at"], np.frombuffer(base64.b64decode(e["sent"]["audio"]), "<i2"))
        for e in events
        if e.get("sent", {}).get("type") == "input_audio_buffer.append"
    ]
    peaks = [np.abs(block.astype(float)).max(initial=0) for _, block in blocks]
    loud = [at for (at, _), peak in zip(blocks, peaks, strict=True) if peak > 0.1 * max(peaks)]
    return max(loud)


# -- a conversation --------------------------------------------------------------------------------


def test_a_question_is_heard_and_answered(microphone: Callable[..., Open], tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> list[dict[str, Any]]:
        asked.append(body)
        return [{"content": ANSWER}]

    open_page = microphone(1.0, spoken(), 5.0)
    with chat_server(answer) as url, running(tmp_path, tts(), llm=url, llm_model="tiny") as server:
        page = open_tab(open_page, server.http)
        expect(page.locator("#talk-partner")).to_contain_text("The language model tiny answers")
        page.locator("#talk-voice").select_option("theo")
        start(page)
        expect(page.locator("#talk-state")).to_have_text("You are speaking")
        expect(page.locator("#talk-you-level")).not_to_have_attribute("aria-valuenow", "0")
        expect(page.locator("#talk-state")).to_have_text("Theo is speaking")
        expect(page.locator("#talk-voice-level")).not_to_have_attribute("aria-valuenow", "0")
        page.wait_for_function("() => window.loudness() > 0.02")
        expect(page.locator("#talk-said .theirs")).to_contain_text(ANSWER)
        expect(page.locator("#talk-state")).to_have_text("Listening: say something")
        lines = page.locator("#talk-said .said").all_inner_texts()
        log, sounds = events(page), page.evaluate("window.played")
        page.get_by_role("button", name="Stop").click()
        expect(page.locator("#talk-state")).to_be_empty()
        num_events = len(events(page))
        page.wait_for_timeout(300)
        assert len(events(page)) == num_events  # the microphone is off
    assert [line.split("\n")[0].lower() for line in lines] == ["you", "theo"]
    assert QUESTION in lines[0]
    assert page.locator("#talk-now .said").count() == 0  # each line is in one place
    assert [m["content"] for m in asked[0]["messages"]][1:] == [QUESTION]
    assert first(log, "session.update")["sent"]["session"]["audio"]["output"]["voice"] == "theo"

    stated = float(lines[1].split("first sound ")[1].split(" s")[0])
    measured = (sounds[0]["at"] - speech_ended_at(log)) / 1000
    print(f"first sound after {stated} s; {measured:.2f} s by the sound")
    assert stated == pytest.approx(measured, abs=0.25)
    assert stated > 0.5  # the silence that ends a turn


def test_speech_interrupts_the_answer(
    microphone: Callable[..., Open], echo: Running, hears: Script
) -> None:
    hears.text = LONG
    open_page = microphone(1.0, spoken(), 8.0, spoken(), 5.0)
    page = open_tab(open_page, echo.http)
    expect(page.locator("#talk-partner")).to_contain_text("No language model answers")
    start(page)
    until(page, "response.output_audio.delta")
    hears.text = QUESTION
    page.wait_for_function("() => window.loudness() > 0.02")
    until(page, "conversation.item.truncate")
    page.wait_for_function("() => window.loudness() === 0", timeout=3000)
    cut = page.locator("#talk-said .theirs:has(.cut:not([hidden]))")
    expect(cut).to_have_count(1)
    expect(page.locator("#talk-said .theirs")).to_have_count(2)  # the second turn is answered
    expect(page.locator("#talk-said .theirs").last).to_contain_text(QUESTION)
    log, sounds = events(page), page.evaluate("window.played")
    truncate = first(log, "conversation.item.truncate")
    heard_s = sum(
        min(sound["seconds"], max(0.0, truncate["time"] - sound["when"]))
        for sound in sounds
        if sound["at"] < truncate["at"]
    )
    assert 1 < heard_s < 9
    print(f"{heard_s:.3f} s were played")
    stated_s = truncate["sent"]["audio_end_ms"] / 1000
    assert stated_s == pytest.approx(heard_s - truncate["lag"], abs=0.15)
    later = [e for e in log if e["at"] > sounds[0]["at"]]
    started = first(later, "input_audio_buffer.speech_started")
    assert truncate["at"] - started["at"] < 100  # ms
    heard = cut.locator(".words").inner_text()
    assert LONG.startswith(heard)
    assert 0 < len(heard) < len(LONG) / 2
    assert not [e for e in log if e.get("type") == "error"]


def test_an_answer_to_half_a_sentence_is_not_heard(
    microphone: Callable[..., Open], echo: Running, hears: Script
) -> None:
    hears.is_ready.clear()
    page = open_tab(microphone(1.0, spoken(), 0.8, spoken(), 5.0), echo.http)
    start(page)
    until(page, "input_audio_buffer.speech_started", 2)
    hears.is_ready.set()  # so that the answer begins while the user speaks
    page.wait_for_function("() => window.loudness() > 0.02")
    log, sounds = events(page), page.evaluate("window.played")
    stopped = [e["at"] for e in log if e.get("type") == "input_audio_buffer.speech_stopped"]
    assert len(stopped) == 2
    assert sounds[0]["at"] > stopped[1]
    assert page.locator("#talk-error").inner_text() == ""


def test_a_button_is_held_to_talk(
    microphone: Callable[..., Open], echo: Running, hears: Script
) -> None:
    hears.text = LONG
    open_page = microphone(0.2, spoken(), 0.2)
    page = open_tab(open_page, echo.http)
    page.get_by_label("Hold a button while I speak").check()
    start(page)
    button = page.get_by_role("button", name="Hold to talk")
    expect(button).to_be_focused()
    expect(page.locator("#talk-state")).to_have_text("Hold the button while you speak")
    page.wait_for_timeout(200)
    assert [e["sent"]["type"] for e in events(page) if "sent" in e] == ["session.update"]
    page.keyboard.down("Space")
    page.keyboard.down("Space")  # as a held key repeats
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#talk-state")).to_have_text("You are speaking")
    page.wait_for_timeout(1500)
    page.keyboard.up("Space")
    expect(button).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#talk-said .yours")).to_contain_text("First we go down")
    page.wait_for_function("() => window.loudness() > 0.02")
    page.keyboard.press("Escape")
    expect(page.locator("#talk-said .theirs .cut")).to_be_visible()
    log = events(page)
    kinds = [e["sent"]["type"] for e in log if "sent" in e]
    assert kinds[0] == "session.update"
    assert log[0]["sent"]["session"]["audio"]["input"]["turn_detection"] is None
    # No sound but while it is held.
    committed = kinds.index("input_audio_buffer.commit")
    assert {*kinds[1:committed]} == {"input_audio_buffer.append"}
    assert "input_audio_buffer.append" not in kinds[committed:]
    assert "conversation.item.truncate" in kinds

    # By pointer; the turn is too short to be one.
    button.hover()
    page.mouse.down()
    page.mouse.up()
    until(page, "input_audio_buffer.commit", 2)
    # By assistive technology, which clicks.
    button.evaluate("(one) => one.click()")
    expect(button).to_have_attribute("aria-pressed", "true")
    button.evaluate("(one) => one.click()")
    expect(button).to_have_attribute("aria-pressed", "false")


def test_the_parts_of_the_latency_are_shown(microphone: Callable[..., Open], echo: Running) -> None:
    def add_parts(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def on_message(text: str | bytes) -> None:
            event = json.loads(text)
            if event["type"] == "response.done":
                parts = {"silence": 500, "recognizer": 120, "chat": 0, "causerie": 80, "total": 700}
                event["response"]["latency_ms"] = parts
            route.send(json.dumps(event))

        server.on_message(on_message)

    page = microphone(1.0, spoken(), 5.0)(echo.http)
    page.route_web_socket("**/v1/realtime", add_parts)
    page.get_by_role("tab", name="Talk").click()
    start(page)
    line = page.locator("#talk-said .theirs .figures")
    expect(line).to_contain_text("s (silence 0.50 s, recognizer 0.12 s, causerie 0.08 s)")


def test_the_key_is_sent(microphone: Callable[..., Open], tmp_path: Path) -> None:
    with running(tmp_path, tts(), api_key=("right",)) as server:
        page = microphone(1.0, spoken(), 5.0)(server.http, wait_for="#key:not([hidden])")
        page.locator("#key-field").fill("right")
        page.locator("#key-field").press("Enter")
        page.get_by_role("tab", name="Talk").click()
        start(page)
        expect(page.locator("#talk-said .yours")).to_contain_text(QUESTION)
        page.get_by_role("button", name="Stop").click()


# -- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "break_it", "message"),
    [
        ("a=b", "", "The API key has characters that a browser cannot send with a conversation."),
        ("right", "window.AudioWorkletNode = class { constructor() { throw Error('x'); } }", "x"),
    ],
)
def test_a_start_that_fails_turns_the_microphone_off(
    open_page: Open, tmp_path: Path, key: str, break_it: str, message: str
) -> None:
    with running(tmp_path, tts(), api_key=(key,)) as server:
        page = open_page(server.http, wait_for="#key:not([hidden])", script=KEEP_TRACKS + break_it)
        page.locator("#key-field").fill(key)
        page.locator("#key-field").press("Enter")
        page.get_by_role("tab", name="Talk").click()
        start(page)
        expect(page.locator("#talk-error")).to_have_text(message)
        expect(page.get_by_role("button", name="Start talking")).to_be_visible()
        assert page.evaluate("window.tracks.map((track) => track.readyState)") == ["ended"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("NotAllowedError", "The microphone was refused: allow it for this page in the browser."),
        ("NotFoundError", "There is no microphone: connect one."),
        ("NotReadableError", "The microphone cannot be read: another program may use it."),
    ],
)
def test_no_microphone(open_page: Open, echo: Running, name: str, message: str) -> None:
    script = f"""navigator.mediaDevices.getUserMedia = async () => {{
      throw new DOMException("no", "{name}");
    }};"""
    page = open_tab(open_page, echo.http, script=script)
    start(page)
    expect(page.locator("#talk-error")).to_have_text(message)
    expect(page.get_by_role("button", name="Start talking")).to_be_focused()
    page.get_by_role("tab", name="Voices").click()
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#add-error")).to_have_text(f"{message} Or choose a file.")


def test_an_insecure_address(playwright: Playwright, chromium: str, echo: Running) -> None:
    rule = "--host-resolver-rules=MAP voices.internal 127.0.0.1"
    browser = playwright.chromium.launch(executable_path=chromium, args=[*FLAGS, rule])
    page = browser.new_page()  # it logs a warning, which `opening` does not allow
    page.goto(f"http://voices.internal:{echo.port}")
    page.get_by_role("tab", name="Talk").click()
    start(page)
    expect(page.locator("#talk-error")).to_contain_text("only to pages over https or on localhost")
    browser.close()


def test_a_server_without_ears(
    open_page: Open, echo: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("causerie.server.routes.partner.is_installed", lambda module: False)
    page = open_tab(open_page, echo.http)
    expect(page.locator("#talk-error")).to_contain_text('pip install "causerie[server,talk]"')
    start(page)
    expect(page.locator("#talk-error")).to_contain_text("the server cannot hear yet")
    expect(page.get_by_role("button", name="Start talking")).to_be_visible()


def test_ears_that_fail(open_page: Open, echo: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise ConfigError("no ears today")

    monkeypatch.setattr(hearing, "Silero", fails)
    page = open_tab(open_page, echo.http)
    start(page)
    expect(page.locator("#talk-error")).to_contain_text("no ears today")
    expect(page.get_by_role("button", name="Start talking")).to_be_visible()


def test_a_recognizer_that_fails(
    microphone: Callable[..., Open], echo: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Script, samples: np.ndarray) -> str:
        raise AudioError("no words today")

    monkeypatch.setattr(Script, "__call__", fails)
    page = open_tab(microphone(1.0, spoken(), 5.0), echo.http)
    start(page)
    expect(page.locator("#talk-error")).to_contain_text("no words today")
    expect(page.locator("#talk-said .yours")).to_contain_text("(no words)")
    expect(page.locator("#talk-state")).to_have_text("Listening: say something")  # it goes on
    page.get_by_role("button", name="Stop").click()


def test_a_connection_that_is_lost(open_page: Open, echo: Running) -> None:
    routes: list[WebSocketRoute] = []

    def connect(route: WebSocketRoute) -> None:
        route.connect_to_server()
        routes.append(route)

    page = open_page(echo.http)
    page.route_web_socket("**/v1/realtime", connect)
    page.get_by_role("tab", name="Talk").click()
    start(page)
    expect(page.locator("#talk-state")).to_have_text("Listening: say something")
    expect(page.get_by_role("tab", name="Talk, the microphone is on")).to_be_visible()
    routes[-1].close(code=1001)
    expect(page.locator("#talk-error")).to_have_text("The connection was lost: the server stops.")
    expect(page.get_by_role("tab", name="Talk", exact=True)).to_be_visible()
    start(page)  # again
    expect(page.locator("#talk-state")).to_have_text("Listening: say something")
    expect(page.locator("#talk-error")).to_be_empty()
    page.get_by_role("button", name="Stop").click()


# -- its parts -------------------------------------------------------------------------------------

#: Resamples a tone that arrives in pieces; the largest sample that differs from the tone at 24 kHz,
#: and the largest of a tone that 24 kHz cannot hold.
RESAMPLE = """
async (rate) => {
  const { Resampler } = await import("./page/resampler.js");
  const tone = (hz, rate) => Float32Array.from({ length: rate }, (_, n) =>
    Math.sin((2 * Math.PI * hz * n) / rate));
  const resampled = (samples) => {
    const resampler = new Resampler(rate, 24000);
    const out = [];
    for (let at = 0, size = 1; at < samples.length; at += size, size = (size * 7) % 1021)
      out.push(...resampler.add(samples.subarray(at, at + size)));
    return out;
  };
  const [got, want] = [resampled(tone(1000, rate)), tone(1000, 24000)];
  const inner = (_, n) => n > 100 && n < got.length - 100;
  return {
    lag: 24000 - got.length,
    error: Math.max(...got.map((x, n) => Math.abs(x - want[n])).filter(inner)),
    alias: Math.max(...resampled(tone(15000, rate)).filter(inner).map(Math.abs)),
  };
}
"""


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000, 96_000])
def test_other_rates_become_24_khz(open_page: Open, echo: Running, rate: int) -> None:
    found = open_page(echo.http).evaluate(RESAMPLE, rate)
    assert 0 <= found["lag"] < 30
    assert found["error"] < 0.002
    if rate > 30_000:
        assert found["alias"] < 0.002
