"""A conversation on the page, by sound: another engine asks, and Whisper hears both sides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import expect

from causerie.audio.audio import Audio
from causerie.recognition.whisper import RATE as WHISPER_RATE
from causerie.recognition.whisper import packaged_recognizer
from tests.page.conftest import Open
from tests.page.test_talk import RATE, RECORD_TALK, microphone, open_tab, start
from tests.server.running import petit, running
from tests.talk.chat_server import chat_server
from tests.talk.test_aloud import ANSWER, QUESTION, WORDS, is_said, letters

__all__ = ["microphone"]  # the fixture

#: Keeps the samples that are played, in their order.
RECORD_SAMPLES = """
window.sound = [];
const play = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when, ...how) {
  const { sampleRate: rate } = this.buffer;
  window.sound.push({ when, rate, samples: Array.from(this.buffer.getChannelData(0)) });
  return play.call(this, when, ...how);
};
"""


def test_the_answer_is_heard(microphone: Callable[..., Open], tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(body: dict[str, Any]) -> list[dict[str, Any]]:
        asked.append(body["messages"][-1]["content"])
        return [{"content": word + " "} for word in ANSWER.split()]

    recognize = packaged_recognizer()
    assert recognize is not None, "the extra talk brings Whisper base"
    open_page = microphone(1.0, Audio.load(QUESTION).resampled(RATE), 20.0)
    with chat_server(answer) as url, running(tmp_path, petit(), llm=url, llm_model="a") as server:
        page = open_tab(open_page, server.http, script=RECORD_TALK + RECORD_SAMPLES)
        start(page)
        expect(page.locator("#talk-said .theirs")).to_contain_text("past seven")
        expect(page.locator("#talk-state")).to_have_text("Listening: say something")
        sounds = page.evaluate("window.sound")
        latency = page.locator("#talk-said .theirs").inner_text().splitlines()[-1]
    assert [letters(text) for text in asked] == [WORDS]
    assert [sound["when"] for sound in sounds] == sorted(sound["when"] for sound in sounds)
    samples = np.concatenate([sound["samples"] for sound in sounds]).astype(np.float32)
    played = Audio(samples=samples, sample_rate=round(sounds[0]["rate"]))
    assert is_said(letters(ANSWER), letters(recognize(played.resampled(WHISPER_RATE))))
    assert latency.startswith("you stopped → first sound ")
    assert "silence" in latency
