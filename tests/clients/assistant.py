"""A server that hears and answers: with Whisper, and a stand-in for a language model."""

from __future__ import annotations

from typing import Any

import numpy as np

from causerie.tts import TTS
from tests.server.process import Served

#: What the user asks, and what the language model says.
QUESTION = "Is it far to the station?"
ANSWER = "No, you can walk there in ten minutes."
DISTANCE = "The station is six hundred metres from here."
STORY = "Once there was a man who lived in a small house beside the river. " * 6
#: The arguments with which the language model calls the tool `distance`.
ARGUMENTS = {"place": "station"}
RATE = 24_000


class Assistant:
    """The server, and what its language model was asked.

    Attributes:
        asked: the bodies of the requests to the language model.
    """

    def __init__(self, server: Served, asked: list[dict[str, Any]]) -> None:
        self.server, self.asked = server, asked

    @property
    def http(self) -> str:
        """The address for clients that want HTTP."""
        return f"{self.server.url}/v1"

    @property
    def websocket(self) -> str:
        """The address for clients that want a WebSocket."""
        return self.http.replace("http", "ws", 1) + "/realtime"

    def said(self, role: str = "user") -> list[str]:
        """What the language model was last told that somebody said."""
        return [m["content"] for m in self.asked[-1]["messages"] if m["role"] == role]


def answer(body: dict[str, Any]) -> list[dict[str, Any]]:
    """What the stand-in says, word by word, or the tool that it calls."""
    last = body["messages"][-1]
    words = (last["content"] or "").casefold()
    if last["role"] == "tool":
        return _words(f"The station is {last['content']} from here.")
    if "story" in words:
        return _words(STORY)
    if "station" not in words:
        return _words("Good morning.")
    if body.get("tools"):
        function = {"name": "distance", "arguments": '{"place": "station"}'}
        return [{"tool_calls": [{"index": 0, "id": "call_1", "function": function}]}]
    return _words(ANSWER)


def _words(text: str) -> list[dict[str, Any]]:
    return [{"content": f"{word} "} for word in text.split()]


def question() -> np.ndarray:
    """The question as 16-bit samples at 24 kHz, with the silence that ends a turn."""
    spoken = TTS.from_pretrained().generate(QUESTION, voice="oscar", seed=1).samples
    noise = np.random.default_rng(0).standard_normal(2 * RATE) * 0.001
    sound = np.concatenate([noise[: RATE // 2], spoken, noise[RATE // 2 :]])
    return (sound * 32767).round().astype("<i2")
