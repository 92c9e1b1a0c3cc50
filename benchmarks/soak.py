"""Runs many clients against a server for a long time; some disconnect in the middle.

    python benchmarks/soak.py --minutes 10 --clients 8 --plot soak.png

Starts `causerie serve` in its own process. The clients use HTTP and WebSockets and choose among a
few texts, voices and seeds. Each complete reply must equal, byte for byte, the reply to a single
client. At the end the server's memory must be the same as after the first fifth of the time, no
slot may be taken, no request may wait, and the log must have no error. Otherwise the exit code is
1.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import dataclasses
import json
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

TEXTS = (
    "Hello.",
    "It is nice to meet you, and I hope that you slept well.",
    "The train to the coast leaves at half past nine. Please have your ticket ready.",
    "First we go down to the river. Then we cross the bridge, as long as it stands. At the other "
    "side there is a house with a red door.",
)
VOICES = ("heart", "alloy")
WAYS = ("pcm", "mp3", "sse", "websocket", "elevenlabs")
#: Share of replies that the client leaves before their end.
LEAVING = 0.3
#: Share of the time in which the memory may still grow.
WARM_UP = 0.2
#: Timeout of each wait, in seconds.
TIMEOUT_S = 30.0


@dataclasses.dataclass(frozen=True)
class Job:
    """A request, and the protocol it uses."""

    way: str
    text: str
    voice: str
    seed: int


@dataclasses.dataclass
class Tally:
    """Counts, times and errors of all clients."""

    finished: Counter[str] = dataclasses.field(default_factory=Counter)
    left: Counter[str] = dataclasses.field(default_factory=Counter)
    first_ms: list[float] = dataclasses.field(default_factory=list)
    wrong: list[str] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)
    megabytes: list[float] = dataclasses.field(default_factory=list)


class LeftError(Exception):
    """The client disconnects."""


class Listener:
    """Collects the bytes of one reply, and leaves after a options number."""

    def __init__(self, leave_after: int | None) -> None:
        self.sound = bytearray()
        self.first_ms: float | None = None
        self._leave_after, self._started = leave_after, time.perf_counter()

    def hear(self, data: bytes) -> None:
        """Add bytes; raise LeftError if it is time to leave."""
        if self.first_ms is None:
            self.first_ms = 1000 * (time.perf_counter() - self._started)
        self.sound += data
        if self._leave_after is not None and len(self.sound) >= self._leave_after:
            raise LeftError


async def listen(http: httpx.AsyncClient, job: Job, listener: Listener) -> None:
    """Request a reply and read it."""
    if job.way == "websocket":
        await _native(http, job, listener)
    elif job.way == "elevenlabs":
        await _elevenlabs(http, job, listener)
    else:
        body = {"input": job.text, "voice": job.voice, "seed": job.seed, "response_format": "pcm"}
        if job.way == "sse":
            body["stream_format"] = "sse"
        elif job.way == "mp3":
            body["response_format"] = "mp3"
        async with http.stream("POST", "/v1/audio/speech", json=body) as response:
            if response.status_code != 200:
                raise AssertionError(f"{response.status_code}: {await response.aread()!r}")
            if job.way == "sse":
                async for line in response.aiter_lines():
                    if line.startswith("data: "):
                        listener.hear(_audio(line.removeprefix("data: ")))
            else:
                async for data in response.aiter_bytes():
                    listener.hear(data)


async def _native(http: httpx.AsyncClient, job: Job, listener: Listener) -> None:
    async with _socket(http, "/v1/audio/speech/stream") as socket:
        config = {"type": "session.config", "voice": job.voice, "seed": job.seed}
        messages = [config, *({"type": "input.text", "text": word} for word in _words(job.text))]
        for message in [*messages, {"type": "input.done"}, {"type": "session.close"}]:
            await socket.send(json.dumps(message))
        async for data in socket:
            if isinstance(data, bytes):
                listener.hear(data)
            elif json.loads(data)["type"] == "error":
                raise AssertionError(data)


async def _elevenlabs(http: httpx.AsyncClient, job: Job, listener: Listener) -> None:
    path = f"/v1/text-to-speech/{job.voice}/stream-input?output_format=pcm_24000&seed={job.seed}"
    async with _socket(http, path) as socket:
        for word in [" ", *_words(job.text), ""]:
            await socket.send(json.dumps({"text": word}))
        async for data in socket:
            listener.hear(_audio(data))


def _socket(http: httpx.AsyncClient, path: str) -> connect:
    url = str(http.base_url).replace("http", "ws", 1).rstrip("/") + path
    return connect(url, max_size=None, compression=None, open_timeout=TIMEOUT_S)


def _audio(message: str | bytes) -> bytes:
    """The audio in a message of ElevenLabs' or OpenAI's protocol."""
    fields = json.loads(message)
    if "error" in fields:
        raise AssertionError(message)
    return base64.b64decode(fields.get("audio") or "")


def _words(text: str) -> list[str]:
    """The words of a text, as a language model streams them."""
    return re.findall(r"\s*\S+", text)


async def reference_replies(http: httpx.AsyncClient, jobs: list[Job]) -> dict[Job, bytes]:
    """The reply to each job without other clients."""
    alone = {}
    for job in jobs:
        listener = Listener(None)
        await asyncio.wait_for(listen(http, job, listener), TIMEOUT_S)
        alone[job] = bytes(listener.sound)
        if not alone[job]:
            raise AssertionError(f"no audio for {job}")
    return alone


async def client(
    http: httpx.AsyncClient, alone: dict[Job, bytes], ends_at: float, seed: int, tally: Tally
) -> None:
    """Make requests, and leave some, until the time is over."""
    chance, jobs = random.Random(seed), list(alone)
    while time.monotonic() < ends_at:
        job = chance.choice(jobs)
        leaves = chance.random() < LEAVING
        # possibly before the first byte, never after the last one
        listener = Listener(int(len(alone[job]) * chance.random() * 0.9) if leaves else None)
        reply = listen(http, job, listener)
        if leaves and chance.random() < 0.3:
            with contextlib.suppress(asyncio.TimeoutError, LeftError):
                await asyncio.wait_for(reply, chance.random() * 0.5)
            tally.left[job.way] += 1
            continue
        try:
            await asyncio.wait_for(reply, TIMEOUT_S)
        except LeftError:
            tally.left[job.way] += 1
            continue
        except (AssertionError, httpx.HTTPError, ConnectionClosed, OSError, TimeoutError) as error:
            tally.wrong.append(f"{job.way}: {type(error).__name__}: {error}")
            continue
        tally.finished[job.way] += 1
        assert listener.first_ms is not None
        tally.first_ms.append(listener.first_ms)
        if bytes(listener.sound) != alone[job]:
            tally.wrong.append(f"{job}: differs from the reply to a single client")


async def watch(process: int, began: float, tally: Tally) -> None:
    """Record the server's memory once per second."""
    while True:
        tally.seconds.append(time.monotonic() - began)
        tally.megabytes.append(resident(process))
        await asyncio.sleep(1.0)


def resident(process: int) -> float:
    """The resident memory of a process in megabytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1000


async def at_rest(http: httpx.AsyncClient) -> list[str]:
    """The gauges that are not 0 a while after all clients left."""
    names = "slots_active queue_length active_streams websockets".split()
    taken: list[str] = []
    for _ in range(50):
        text = (await http.get("/metrics")).text
        found = re.findall(rf"^causerie_({'|'.join(names)})(?:{{.*}})? ([0-9.e+]+)$", text, re.M)
        taken = [f"{name} is {value}" for name, value in found if float(value)]
        if not taken:
            break
        await asyncio.sleep(0.1)
    return taken


async def soak(url: str, process: int, seconds: float, clients: int, tally: Tally) -> list[str]:
    """Run the clients; return all errors, except those of memory."""
    jobs = [
        Job(way, text, voice, seed)
        for way in WAYS
        for seed, text in enumerate(TEXTS)
        for voice in VOICES
    ]
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, limits=limits) as http:
        alone = await reference_replies(http, jobs)
        began = time.monotonic()
        watching = asyncio.create_task(watch(process, began, tally))
        await asyncio.gather(
            *(client(http, alone, began + seconds, seed, tally) for seed in range(clients))
        )
        taken = await at_rest(http)
        watching.cancel()
    return [*tally.wrong, *taken]


def growth(tally: Tally) -> float:
    """The growth of memory after the warm-up, between medians over a tenth of the time."""
    tenth = max(1, len(tally.megabytes) // 10)
    warm = int(len(tally.megabytes) * WARM_UP)
    before = statistics.median(tally.megabytes[warm : warm + tenth])
    return statistics.median(tally.megabytes[-tenth:]) / before - 1


@contextlib.contextmanager
def server(*flags: str) -> Iterator[tuple[str, int, Path]]:
    """Start a server; yield its URL, process id and log."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [sys.executable, "-m", "causerie", "serve", "--port", "0", "--voices", folder]
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*command, *flags], stdout=subprocess.PIPE, stderr=file, text=True
            )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if found := re.search(r"http://[^ ]+:\d+", line):
                    yield found[0], process.pid, log
                    break
            else:
                raise SystemExit(f"the server did not start:\n{log.read_text()}")
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
        if code != 0:
            raise SystemExit(f"the server exited with {code}:\n{log.read_text()[-2000:]}")


def table(tally: Tally, seconds: float, clients: int) -> str:
    """The results in Markdown."""
    rows = [
        f"| {'way':10} | {'complete':>10} | {'left':>6} |",
        "|------------|-----------:|-------:|",
    ]
    for way in WAYS:
        rows.append(f"| {way:10} | {tally.finished[way]:10,} | {tally.left[way]:6,} |")
    rows.append(f"| {'all':10} | {tally.finished.total():10,} | {tally.left.total():6,} |")
    first = sorted(tally.first_ms) or [0.0]
    rows += [
        "",
        f"{clients} clients for {seconds:.0f} s. First bytes after "
        f"{statistics.median(first):.0f} ms (median), {first[int(0.95 * (len(first) - 1))]:.0f} ms "
        f"(p95).",
        f"Memory {min(tally.megabytes):.0f} to {max(tally.megabytes):.0f} MB, "
        f"{growth(tally):+.1%} from the end of the warm-up to the end.",
    ]
    return "\n".join(rows)


def draw(tally: Tally, path: Path) -> None:
    """Draw the memory over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axis = figure.subplots()
    axis.plot(tally.seconds, tally.megabytes, color="#4c78a8")
    axis.axvline(WARM_UP * tally.seconds[-1], color="#888888", linestyle=":")
    axis.set(xlabel="seconds; dotted: end of the warm-up", ylabel="resident memory, MB")
    axis.set_ylim(0, 1.2 * max(tally.megabytes))
    axis.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Run clients, print the results, exit with 1 on errors."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--model", default="petit")
    parser.add_argument("--max-growth", type=float, default=0.05, help="largest growth of memory")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    seconds, tally = 60 * options.minutes, Tally()
    with server("--model", options.model, "--log-level", "warning") as (url, process, log):
        wrong = asyncio.run(soak(url, process, seconds, options.clients, tally))
        if growth(tally) > options.max_growth:
            wrong.append(f"memory grew by {growth(tally):.1%}")
        wrong += [line for line in log.read_text().splitlines() if line.strip()]
    print(table(tally, seconds, options.clients))
    if options.plot is not None:
        draw(tally, options.plot)
    for line in wrong[:20]:
        print(f"wrong: {line}")
    if wrong:
        raise SystemExit(1)
    print("No errors.")


if __name__ == "__main__":
    main()
