"""Measures the latency of a server's first byte, by the number of clients.

    python benchmarks/server.py --requests 200 --clients 1,8

Starts `causerie serve` in its own process. Each client requests a short sentence as pcm, reads all
of it, and starts again on the same connection. The time is from before the request to the first
byte. A reply counts as late if its audio ever arrives slower than it plays.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import httpx

SENTENCE = "Good morning, how are you today?"
BYTES_PER_SECOND = 48_000


async def one(client: httpx.AsyncClient, seed: int) -> tuple[float, bool]:
    """The seconds to the first byte, and whether audio ever arrived slower than it plays."""
    body = {"input": SENTENCE, "response_format": "pcm", "seed": seed}
    started, first, num_bytes, is_late = time.perf_counter(), 0.0, 0, False
    async with client.stream("POST", "/v1/audio/speech", json=body) as response:
        response.raise_for_status()
        async for chunk in response.aiter_raw():
            now = time.perf_counter()
            if not num_bytes:
                first = now
            elif now - first > num_bytes / BYTES_PER_SECOND:
                is_late = True
            num_bytes += len(chunk)
    return first - started, is_late


async def measure(url: str, num_clients: int, num_requests: int) -> list[tuple[float, bool]]:
    """Make all requests, divided among the clients."""
    seeds = iter(range(num_requests))

    async def client() -> list[tuple[float, bool]]:
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            return [await one(http, seed) for seed in seeds]

    done = await asyncio.gather(*(client() for _ in range(num_clients)))
    return [result for results in done for result in results]


def main() -> None:
    """Print one line per number of clients."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", default="1,8")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "causerie", "serve", "--port", "0", "--voices", folder]
        command += ["--log-level", "warning"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            try:
                url = next(m[0] for line in server.stdout if (m := re.search(r"http://\S+", line)))
                print("| clients | requests | first byte p50, ms | p95, ms | late replies |")
                print("|---:|---:|---:|---:|---:|")
                for number in map(int, options.clients.split(",")):
                    asyncio.run(measure(url, number, number))  # opens the connections and warms up
                    results = asyncio.run(measure(url, number, options.requests))
                    ms = sorted(1000 * seconds for seconds, _ in results)
                    p95 = ms[min(len(ms) - 1, round(0.95 * len(ms)))]
                    late = sum(is_late for _, is_late in results)
                    print(
                        f"| {number} | {len(ms)} | {statistics.median(ms):.0f} | {p95:.0f} "
                        f"| {late} |",
                        flush=True,
                    )
            finally:
                server.send_signal(signal.SIGTERM)


if __name__ == "__main__":
    main()
