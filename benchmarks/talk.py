"""Measures the latency of a spoken conversation, by its parts.

    python benchmarks/talk.py
    python benchmarks/talk.py --turns 5 --json talk.json

Starts `causerie serve` in its own process, and a chat endpoint that answers at once. A client of
the Realtime protocol speaks sentences of another engine at real time, those of docs/audio/teacher;
the server hears them by its recognizer, and answers. The parts are those of the server's
`latency_ms`: the silence that ends a turn, the wait for its words, the wait for the chat
endpoint, and `causerie`, which is all the rest. `client` is what the client sees, from the last
sound of the question to the first of the answer. The exit code is 1 if the p95 of `causerie` is
above 150 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect

from causerie.audio.audio import Audio
from causerie.audio.io import pcm16

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.talk.chat_server import chat_server

ROOT = Path(__file__).parents[1]
RATE, BLOCK_S = 24_000, 0.02
#: The p95 of `causerie` that is wanted, in ms.
WANTED_MS = 150
PARTS = ("silence", "recognizer", "chat", "causerie", "total", "client")
QUESTIONS = ROOT / "docs" / "audio" / "teacher"
ANSWERS = (
    "No, it is ten minutes on foot.",
    "The next one leaves at a quarter past nine, from the other side of the hall.",
    "It is cold and dry, with a little wind. Take a coat.",
    "The light is off now.",
    "I do not know, but I can find out for you.",
)
#: Level of the noise between questions; silence of a microphone is never digital.
NOISE = 0.0003
#: Where a question ends: its last sample above this.
AUDIBLE = 0.02


def spoken_questions() -> list[NDArray[np.float32]]:
    """Sentences (N,) at 24 kHz of the voices that petit learned, each to its last sound."""
    found = [Audio.load(path).resampled(RATE) for path in sorted(QUESTIONS.glob("*.flac"))]
    return [samples[: np.flatnonzero(np.abs(samples) > AUDIBLE)[-1] + 1] for samples in found]


class Client:
    """A client whose microphone hears noise, except while it asks."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._random = socket, np.random.default_rng(0)
        self._waiting = np.zeros(0, np.float32)
        self._spoken: asyncio.Future[float] | None = None
        self._microphone = asyncio.create_task(self._speak())

    async def _speak(self) -> None:
        size = round(BLOCK_S * RATE)
        started, num_blocks = time.monotonic(), 0
        while True:
            num_blocks += 1
            await asyncio.sleep(max(0.0, started + num_blocks * BLOCK_S - time.monotonic()))
            block = NOISE * self._random.standard_normal(size).astype(np.float32)
            part, self._waiting = self._waiting[:size], self._waiting[size:]
            block[: len(part)] += part
            data = base64.b64encode(pcm16(block).tobytes()).decode()
            await self.send("input_audio_buffer.append", audio=data)
            if len(part) and not len(self._waiting):
                assert self._spoken is not None
                self._spoken.set_result(time.monotonic() - (size - len(part)) / RATE)

    async def send(self, kind: str, **facts: Any) -> None:
        """Send an event."""
        await self._socket.send(json.dumps({"type": kind, **facts}))

    async def until(self, kind: str) -> dict[str, Any]:
        """The next event of a kind."""
        while True:
            event: dict[str, Any] = json.loads(await asyncio.wait_for(self._socket.recv(), 60))
            if event["type"] in ("error", "conversation.item.input_audio_transcription.failed"):
                raise RuntimeError(event)
            if event["type"] == kind:
                return event

    async def ask(self, question: NDArray[np.float32]) -> dict[str, float]:
        """Ask, hear the answer, and return the parts of its latency in ms."""
        self._spoken = asyncio.get_running_loop().create_future()
        self._waiting = question
        await self.until("response.output_audio.delta")
        heard = time.monotonic()
        response = (await self.until("response.done"))["response"]
        seen = 1000 * (heard - await self._spoken)
        return {**response["latency_ms"], "client": seen}

    async def close(self) -> None:
        """Switch the microphone off."""
        self._microphone.cancel()
        await asyncio.gather(self._microphone, return_exceptions=True)


async def converse(
    url: str, questions: list[NDArray[np.float32]], num_turns: int
) -> list[dict[str, float]]:
    """The latencies of a conversation, without its first turn, which loads the recognizer."""
    address = url.replace("http", "ws", 1) + "/v1/realtime?model=gpt-realtime"
    async with connect(address, max_size=None) as socket:
        client = Client(socket)
        found = []
        for number in range(num_turns + 1):
            latency = await client.ask(questions[number % len(questions)])
            if number:
                found.append(latency)
                line = " ".join(f"{part} {latency[part]:.0f}" for part in PARTS)
                print(f"turn {number}: {line}", file=sys.stderr, flush=True)
            await asyncio.sleep(0.5)
        await client.close()
        return found


def percentile(values: list[float], share: float) -> float:
    """The value below which this share is, without interpolation."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * len(ordered)))]


def main() -> int:
    """Print the table of the parts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=50)
    parser.add_argument("--model", default="petit")
    parser.add_argument("--json", type=Path, help="write all latencies to this file")
    options = parser.parse_args()
    questions = spoken_questions()
    with tempfile.TemporaryDirectory() as name:
        answers = iter(range(10**9))

        def answer(body: dict[str, Any]) -> list[dict[str, Any]]:
            text = ANSWERS[next(answers) % len(ANSWERS)]
            return [{"content": word + " "} for word in text.split()]

        with chat_server(answer) as llm:
            command = [sys.executable, "-m", "causerie", "serve", "--port", "0", "--voices", name]
            command += ["--model", options.model, "--llm", llm, "--llm-model", "m"]
            command += ["--log-level", "warning"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
                assert server.stdout is not None
                try:
                    url = next(
                        m[0] for line in server.stdout if (m := re.search(r"http://\S+", line))
                    )
                    load = os.getloadavg()[0]
                    found = asyncio.run(converse(url, questions, options.turns))
                finally:
                    server.send_signal(signal.SIGTERM)
    print(f"{len(found)} turns; load before {load:.1f}, at the end {os.getloadavg()[0]:.1f}\n")
    print("| part | median, ms | p95, ms | most, ms |\n|---|---:|---:|---:|")
    for part in PARTS:
        values = [latency[part] for latency in found]
        median, p95 = statistics.median(values), percentile(values, 0.95)
        print(f"| {part} | {median:.0f} | {p95:.0f} | {max(values):.0f} |")
    if options.json is not None:
        options.json.write_text(json.dumps(found), "utf-8")
    return int(percentile([latency["causerie"] for latency in found], 0.95) > WANTED_MS)


if __name__ == "__main__":
    sys.exit(main())
