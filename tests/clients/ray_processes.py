"""Starts `causerie serve --ray` and finds its replicas among the machine's processes."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import openai

from causerie.server.ray.proxy import REPLICA_HEADER

PATIENCE_S = 90.0


@dataclass
class Cluster:
    """A running `causerie serve --ray`."""

    process: subprocess.Popen[str]
    url: str

    def openai(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="any", max_retries=0, timeout=60)

    def processes(self) -> set[int]:
        """Process ids of this cluster's replicas."""
        processes = map(int, filter(str.isdigit, os.listdir("/proc")))
        replicas = {one for one in processes if _proc(one, "cmdline").startswith("ray::ServeRep")}
        return {one for one in replicas if self.process.pid in _ancestors(one)}

    def replica(self) -> str:
        """Name of the replica that answers a request now."""
        return httpx.get(f"{self.url}/health").headers[REPLICA_HEADER]


def _proc(process: int, name: str) -> str:
    try:
        return Path(f"/proc/{process}/{name}").read_text(errors="replace")
    except OSError:  # the process has just ended
        return ""


def _ancestors(process: int) -> list[int]:
    found: list[int] = []
    while process > 1 and (parent := re.search(r"PPid:\s+(\d+)", _proc(process, "status"))):
        process = int(parent[1])
        found.append(process)
    return found


@contextlib.contextmanager
def serving(folder: Path, *flags: str, **environment: str) -> Iterator[Cluster]:
    """Run `causerie serve --ray` from the time it prints its address until the block ends."""
    command = [sys.executable, *"-m causerie serve --ray --port 0 --consent off".split(), *flags]
    command += ["--voices", str(folder / "voices")]
    # Ray keeps sockets in this folder, and their paths must be short.
    with tempfile.TemporaryDirectory(dir="/tmp") as short, (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True,
            env={**os.environ, "RAY_TMPDIR": short, **environment},
        )  # fmt: skip
        timeout = threading.Timer(PATIENCE_S, process.kill)
        timeout.start()
        assert process.stdout is not None
        try:
            lines = (re.match(r"\s*(http://127\S+)$", line) for line in process.stdout)
            url = next((found[1] for found in lines if found), None)
            timeout.cancel()
            assert url, f"it did not start:\n{(folder / 'log').read_text()[-5000:]}"
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield Cluster(process, url)
        finally:
            timeout.cancel()
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            finally:
                process.kill()
                process.wait()
                process.stdout.close()
