"""Many clients at a server for a long time, some of whom leave in the middle.

    python benchmarks/soak.py --minutes 10 --clients 8 --plot soak.png

Starts `causerie serve` in a process of its own. The clients speak HTTP and WebSockets, and choose
among a few texts, voices and seeds; each reply that they hear to its end must be, byte for byte,
the one that a client alone heard before. In the end the memory of the server must be what it was
after the first fifth of the time, no slot taken, nobody waiting, and no error in the log. Exits 1
where something of that is not so.
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
#: Of the replies, how many are left before their end.
LEAVING = 0.3
#: Of its time that a server may take to reach the memory that it keeps.
WARM_UP = 0.2
#: Seconds without a byte after which a client has waited in vain.
PATIENCE_S = 30.0


@dataclasses.dataclass(frozen=True)
class Job:
    """What a client asks for, and how."""

    way: str
    text: str
    voice: str
    seed: int


@dataclasses.dataclass
class Tally:
    """What the clients met."""

    finished: Counter[str] = dataclasses.field(default_factory=Counter)
    left: Counter[str] = dataclasses.field(default_factory=Counter)
    first_ms: list[float] = dataclasses.field(default_factory=list)
    wrong: list[str] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)
    megabytes: list[float] = dataclasses.field(default_factory=list)


class LeftError(Exception):
    """A client goes."""


class Listener:
    """Takes the bytes of one reply, and goes once it has had enough."""

    def __init__(self, leave_after: int | None) -> None:
        self.sound = bytearray()
        self.first_ms: float | None = None
        self._leave_after, self._started = leave_after, time.perf_counter()

    def hear(self, data: bytes) -> None:
        """Raise LeftError where it is enough."""
        if self.first_ms is None:
            self.first_ms = 1000 * (time.perf_counter() - self._started)
        self.sound += data
        if self._leave_after is not None and len(self.sound) >= self._leave_after:
            raise LeftError


async def listen(http: httpx.AsyncClient, job: Job, listener: Listener) -> None:
    """Ask for a reply, and hear it."""
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
    return connect(url, max_size=None, compression=None, open_timeout=PATIENCE_S)


def _audio(message: str | bytes) -> bytes:
    """Of a message of ElevenLabs' or OpenAI's."""
    fields = json.loads(message)
    if "error" in fields:
        raise AssertionError(message)
    return base64.b64decode(fields.get("audio") or "")


def _words(text: str) -> list[str]:
    """As a language model writes it."""
    return re.findall(r"\s*\S+", text)


async def heard_alone(http: httpx.AsyncClient, jobs: list[Job]) -> dict[Job, bytes]:
    """What each job sounds like with nobody else there."""
    alone = {}
    for job in jobs:
        listener = Listener(None)
        await asyncio.wait_for(listen(http, job, listener), PATIENCE_S)
        alone[job] = bytes(listener.sound)
        if not alone[job]:
            raise AssertionError(f"no sound of {job}")
    return alone


async def client(
    http: httpx.AsyncClient, alone: dict[Job, bytes], ends_at: float, seed: int, tally: Tally
) -> None:
    """Ask, hear, leave, and ask again until the time is over."""
    chance, jobs = random.Random(seed), list(alone)
    while time.monotonic() < ends_at:
        job = chance.choice(jobs)
        leaves = chance.random() < LEAVING
        # Also before the first byte, and never at the last one.
        listener = Listener(int(len(alone[job]) * chance.random() * 0.9) if leaves else None)
        heard = listen(http, job, listener)
        if leaves and chance.random() < 0.3:
            with contextlib.suppress(asyncio.TimeoutError, LeftError):
                await asyncio.wait_for(heard, chance.random() * 0.5)
            tally.left[job.way] += 1
            continue
        try:
            await asyncio.wait_for(heard, PATIENCE_S)
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
            tally.wrong.append(f"{job}: not as alone")


async def watch(process: int, began: float, tally: Tally) -> None:
    """Write down the server's memory, once a second."""
    while True:
        tally.seconds.append(time.monotonic() - began)
        tally.megabytes.append(resident(process))
        await asyncio.sleep(1.0)


def resident(process: int) -> float:
    """Megabytes of memory that a process has."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1000


async def at_rest(http: httpx.AsyncClient) -> list[str]:
    """What is still taken, a while after all have gone; nothing should be."""
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
    """Run the clients; returns what was not as it should be, but for the memory."""
    jobs = [
        Job(way, text, voice, seed)
        for way in WAYS
        for seed, text in enumerate(TEXTS)
        for voice in VOICES
    ]
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S, limits=limits) as http:
        alone = await heard_alone(http, jobs)
        began = time.monotonic()
        watching = asyncio.create_task(watch(process, began, tally))
        await asyncio.gather(
            *(client(http, alone, began + seconds, seed, tally) for seed in range(clients))
        )
        taken = await at_rest(http)
        watching.cancel()
    return [*tally.wrong, *taken]


def growth(tally: Tally) -> float:
    """Of memory, from the end of the warm-up to the end: medians of a tenth of the time each."""
    tenth = max(1, len(tally.megabytes) // 10)
    warm = int(len(tally.megabytes) * WARM_UP)
    before = statistics.median(tally.megabytes[warm : warm + tenth])
    return statistics.median(tally.megabytes[-tenth:]) / before - 1


@contextlib.contextmanager
def server(*flags: str) -> Iterator[tuple[str, int, Path]]:
    """A server: its address, its process, its log."""
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
    """What happened, in Markdown."""
    rows = [
        f"| {'way':10} | {'to the end':>10} | {'left':>6} |",
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
    """The memory over time, as a picture."""
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
    """See the head of this file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--model", default="petit")
    parser.add_argument("--max-growth", type=float, default=0.05, help="of memory")
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    seconds, tally = 60 * given.minutes, Tally()
    with server("--model", given.model, "--log-level", "warning") as (url, process, log):
        wrong = asyncio.run(soak(url, process, seconds, given.clients, tally))
        if growth(tally) > given.max_growth:
            wrong.append(f"memory grew by {growth(tally):.1%}")
        wrong += [line for line in log.read_text().splitlines() if line.strip()]
    print(table(tally, seconds, given.clients))
    if given.plot is not None:
        draw(tally, given.plot)
    for line in wrong[:20]:
        print(f"wrong: {line}")
    if wrong:
        raise SystemExit(1)
    print("All as it should be.")


if __name__ == "__main__":
    main()
