"""Runs many clients against a server for a long time; some disconnect in the middle.

    python benchmarks/soak.py --minutes 10 --clients 8 --plot soak.png
    python benchmarks/soak.py --minutes 1.5 --clients 96 --overload

Starts `causerie serve` in its own process. The clients use HTTP, WebSockets and Wyoming and choose
among a few texts, voices and seeds; some requests have a recording. Each complete reply must equal,
byte for byte, the reply to a single client. At the end the server's memory must be the same as
after the first fifth of the time, no slot may be taken, no request may wait, and the log must have
no error. Otherwise the exit code is 1.

With `--overload` clients may be refused, by a 429, and retry; each has an address of its own, and
some open a reply and read nothing of it for a while.
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
from typing import Any

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
#: "upload" is a request with a recording in it, "flac" is sent once it is complete.
WAYS = (
    "pcm", "mp3", "wav", "opus", "flac", "sse", "upload", "websocket", "elevenlabs", "realtime",
    "wyoming",
)  # fmt: skip
#: Share of replies that the client opens and does not read, with `--overload`, and for how long.
UNREAD, UNREAD_S = 0.05, 5.0
#: Share of replies that the client leaves before their end.
LEAVING = 0.3
#: Share of the time in which the memory may still grow.
WARM_UP = 0.2
#: Timeout of each wait, in seconds.
TIMEOUT_S = 30.0
#: Timeout of a whole reply with `--overload`, where it waits for many others.
OVERLOAD_TIMEOUT_S = 120.0


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
    refused: Counter[str] = dataclasses.field(default_factory=Counter)
    unread: int = 0
    first_ms: list[float] = dataclasses.field(default_factory=list)
    wrong: list[str] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)
    megabytes: list[float] = dataclasses.field(default_factory=list)


class LeftError(Exception):
    """The client disconnects."""


class RefusedError(Exception):
    """The server has too many requests."""


@dataclasses.dataclass
class Server:
    """The addresses of a server.

    Attributes:
        address: of the client; None: any.
        recording: for "upload".
    """

    http: httpx.AsyncClient
    wyoming: tuple[str, int]
    address: str | None = None
    recording: str = ""


class Listener:
    """Collects the bytes of one reply, and leaves after a given number."""

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


async def listen(server: Server, job: Job, listener: Listener) -> None:
    """Request a reply and read it.

    Raises:
        RefusedError: the server has too many requests.
    """
    sockets = {"websocket": _native, "elevenlabs": _elevenlabs, "realtime": _realtime}
    if job.way in sockets:
        await sockets[job.way](server, job, listener)
    elif job.way == "wyoming":
        await _wyoming(server, job, listener)
    else:
        async with server.http.stream(
            "POST", "/v1/audio/speech", json=_body(server, job), headers=_headers(server)
        ) as response:
            if response.status_code == 429:
                raise RefusedError
            if response.status_code != 200:
                raise AssertionError(f"{response.status_code}: {await response.aread()!r}")
            if job.way == "sse":
                async for line in response.aiter_lines():
                    if line.startswith("data: "):
                        listener.hear(_audio(line.removeprefix("data: ")))
            else:
                async for data in response.aiter_bytes():
                    listener.hear(data)


def _body(server: Server, job: Job) -> dict[str, Any]:
    body: dict[str, Any] = {"input": job.text, "voice": job.voice, "seed": job.seed}
    body["response_format"] = job.way if job.way in ("mp3", "wav", "opus", "flac") else "pcm"
    if job.way == "sse":
        body["stream_format"] = "sse"
    elif job.way == "upload":
        del body["voice"]
        body |= {"ref_audio": server.recording, "ref_text": TEXTS[1], "consent_attested": True}
    return body


def _headers(server: Server) -> dict[str, str]:
    """Headers with the client's address: uvicorn takes it from the proxies of this machine."""
    return {} if server.address is None else {"x-forwarded-for": server.address}


async def _native(server: Server, job: Job, listener: Listener) -> None:
    async with _socket(server, "/v1/audio/speech/stream") as socket:
        config = {"type": "session.config", "voice": job.voice, "seed": job.seed}
        messages = [config, *({"type": "input.text", "text": word} for word in _words(job.text))]
        for message in [*messages, {"type": "input.done"}, {"type": "session.close"}]:
            await socket.send(json.dumps(message))
        async for data in socket:
            if isinstance(data, bytes):
                listener.hear(data)
            elif json.loads(data)["type"] == "error":
                raise _failure(data)


async def _realtime(server: Server, job: Job, listener: Listener) -> None:
    content = [{"type": "input_text", "text": job.text}]
    message = {"type": "message", "role": "user", "content": content}
    response = {
        "input": [message],
        "conversation": "none",
        "seed": job.seed,
        "audio": {"output": {"voice": job.voice}},
    }
    async with _socket(server, "/v1/realtime") as socket:
        await socket.send(json.dumps({"type": "response.create", "response": response}))
        async for data in socket:
            event = json.loads(data)
            if event["type"] == "response.output_audio.delta":
                listener.hear(base64.b64decode(event["delta"]))
            elif event["type"] == "error" or event.get("response", {}).get("status") == "failed":
                raise _failure(data)
            elif event["type"] == "response.done":
                return


async def _wyoming(server: Server, job: Job, listener: Listener) -> None:
    reader, writer = await asyncio.open_connection(*server.wyoming)
    try:
        data = {"text": job.text, "voice": {"name": job.voice}}
        writer.write(json.dumps({"type": "synthesize", "data": data}).encode() + b"\n")
        while True:
            head = json.loads(await reader.readline())
            data = await reader.readexactly(head.get("data_length") or 0)
            audio = await reader.readexactly(head.get("payload_length") or 0)
            if head["type"] == "audio-chunk":
                listener.hear(audio)
            elif head["type"] == "audio-stop":
                return
            elif head["type"] == "error":
                raise _failure(data)
    finally:
        writer.close()


def _failure(message: str | bytes) -> Exception:
    """The exception for a message with an error."""
    text = message if isinstance(message, str) else message.decode()
    return RefusedError() if "queue_full" in text else AssertionError(text)


async def _unread(server: Server, job: Job) -> None:
    """Request a reply, and read nothing of it."""
    async with server.http.stream(
        "POST", "/v1/audio/speech", json=_body(server, job), headers=_headers(server)
    ):
        await asyncio.sleep(UNREAD_S)


async def _elevenlabs(server: Server, job: Job, listener: Listener) -> None:
    path = f"/v1/text-to-speech/{job.voice}/stream-input?output_format=pcm_24000&seed={job.seed}"
    async with _socket(server, path) as socket:
        for word in [" ", *_words(job.text), ""]:
            await socket.send(json.dumps({"text": word}))
        async for data in socket:
            listener.hear(_audio(data))


def _socket(server: Server, path: str) -> connect:
    url = str(server.http.base_url).replace("http", "ws", 1).rstrip("/") + path
    return connect(
        url,
        max_size=None,
        compression=None,
        open_timeout=TIMEOUT_S,
        additional_headers=_headers(server),
    )


def _audio(message: str | bytes) -> bytes:
    """The audio in a message of ElevenLabs' or OpenAI's protocol."""
    fields = json.loads(message)
    if "error" in fields:
        raise _failure(message)
    return base64.b64decode(fields.get("audio") or "")


def _words(text: str) -> list[str]:
    """The words of a text, as a language model streams them."""
    return re.findall(r"\s*\S+", text)


async def reference_replies(server: Server, jobs: list[Job]) -> dict[Job, bytes]:
    """The reply to each job without other clients."""
    alone = {}
    for job in jobs:
        listener = Listener(None)
        await asyncio.wait_for(listen(server, job, listener), TIMEOUT_S)
        alone[job] = bytes(listener.sound)
        if not alone[job]:
            raise AssertionError(f"no audio for {job}")
    return alone


async def client(
    server: Server,
    alone: dict[Job, bytes],
    ends_at: float,
    seed: int,
    tally: Tally,
    timeout_s: float,
) -> None:
    """Make requests, and leave some, until the time is over."""
    chance, jobs = random.Random(seed), list(alone)
    while time.monotonic() < ends_at:
        job = chance.choice(jobs)
        if server.address is not None and chance.random() < UNREAD:
            await _unread(server, dataclasses.replace(job, way="pcm"))
            tally.unread += 1
            continue
        leaves = chance.random() < LEAVING
        # possibly before the first byte, never after the last one
        listener = Listener(int(len(alone[job]) * chance.random() * 0.9) if leaves else None)
        reply = listen(server, job, listener)
        if leaves and chance.random() < 0.3:
            with contextlib.suppress(asyncio.TimeoutError, LeftError, RefusedError):
                await asyncio.wait_for(reply, chance.random() * 0.5)
            tally.left[job.way] += 1
            continue
        try:
            await asyncio.wait_for(reply, timeout_s)
        except LeftError:
            tally.left[job.way] += 1
            continue
        except RefusedError:
            tally.refused[job.way] += 1
            if server.address is None:
                tally.wrong.append(f"{job.way}: refused")
            await asyncio.sleep(1.0)
            continue
        except (AssertionError, httpx.HTTPError, ConnectionClosed, OSError, TimeoutError) as error:
            tally.wrong.append(f"{job.way}: {type(error).__name__}: {error}")
            continue
        tally.finished[job.way] += 1
        assert listener.first_ms is not None
        tally.first_ms.append(listener.first_ms)
        if not is_equal(job.way, bytes(listener.sound), alone[job]):
            tally.wrong.append(f"{job}: differs from the reply to a single client")


def is_equal(way: str, sound: bytes, expected: bytes) -> bool:
    """Whether a reply is the same as the reply to a single client."""
    if way == "wyoming":  # has no seeds
        return True
    if way == "opus":  # Ogg numbers each stream at random
        return len(sound) == len(expected)
    return sound == expected


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


async def soak(
    url: str,
    wyoming: tuple[str, int],
    process: int,
    seconds: float,
    clients: int,
    tally: Tally,
    *,
    is_overload: bool,
) -> list[str]:
    """Run the clients; return all errors, except those of memory."""
    timeout_s = OVERLOAD_TIMEOUT_S if is_overload else TIMEOUT_S
    jobs = [
        Job(way, text, voice, seed)
        for way in WAYS
        for seed, text in enumerate(TEXTS)
        for voice in VOICES
    ]
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=timeout_s, limits=limits) as http:
        server = Server(http, wyoming)
        body = {"input": TEXTS[1], "voice": VOICES[0], "seed": 1, "response_format": "wav"}
        recording = (await http.post("/v1/audio/speech", json=body)).content
        server.recording = "data:audio/wav;base64," + base64.b64encode(recording).decode()
        alone = await reference_replies(server, jobs)
        began = time.monotonic()
        watching = asyncio.create_task(watch(process, began, tally))
        await asyncio.gather(
            *(
                client(
                    dataclasses.replace(
                        server, address=f"10.0.0.{seed + 1}" if is_overload else None
                    ),
                    alone,
                    began + seconds,
                    seed,
                    tally,
                    timeout_s,
                )
                for seed in range(clients)
            )
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
def serving(*flags: str) -> Iterator[tuple[str, tuple[str, int], int, Path]]:
    """Start a server; yield its URL, its Wyoming address, its process id and log."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [sys.executable, "-m", "causerie", "serve", "--port", "0", "--wyoming", "0"]
        command += ["--voices", folder]
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*command, *flags], stdout=subprocess.PIPE, stderr=file, text=True
            )
        try:
            assert process.stdout is not None
            url = ""
            for line in process.stdout:
                if found := re.search(r"http://[^ ]+:\d+", line):
                    url = url or found[0]
                elif found := re.search(r"tcp://([^ ]+):(\d+)", line):
                    yield url, (found[1], int(found[2])), process.pid, log
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
        *(
            [f"Refused: {tally.refused.total():,}, not read: {tally.unread:,}."]
            * bool(tally.unread)
        ),
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
    parser.add_argument("--overload", action="store_true", help="clients may be refused")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    seconds, tally = 60 * options.minutes, Tally()
    flags = ("--model", options.model, "--log-level", "warning", "--transcribe", "off")
    with serving(*flags) as (url, wyoming, process, log):
        wrong = asyncio.run(
            soak(
                url,
                wyoming,
                process,
                seconds,
                options.clients,
                tally,
                is_overload=options.overload,
            )
        )
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
