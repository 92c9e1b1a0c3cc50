"""Autoscaling, and joining an existing Ray cluster."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from causerie.server.ray.proxy import REPLICA_HEADER
from tests.clients.ray_processes import PATIENCE_S, serving

TEXT = "We go down to the river, and we cross the bridge as long as it stands. " * 2
CALLBACK = "causerie.server.ray.proxy.proxy_middlewares"
BIN = Path(sys.executable).parent


def _speak(url: str, text: str = "Hello.") -> httpx.Response:
    body = {"input": text, "response_format": "pcm", "seed": 1}
    return httpx.post(f"{url}/v1/audio/speech", json=body, timeout=60)


def test_replicas_are_added_under_load_and_removed_after_it(tmp_path: Path) -> None:
    flags = "--replicas 1 --max-replicas 2 --max-streams 1 --max-queue 8 --scale-down-s 1"
    # By default Ray measures every 10 s, which would make this test slower.
    often = {"RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1",
             "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1"}  # fmt: skip
    with serving(tmp_path, *flags.split(), **often) as cluster:
        assert len(cluster.processes()) == 1
        answers: list[httpx.Response] = []
        stopping = threading.Event()

        def send_requests() -> None:
            while not stopping.is_set():
                answers.append(_speak(cluster.url, TEXT))

        clients = [threading.Thread(target=send_requests) for _ in range(3)]
        for client in clients:
            client.start()
        try:
            _until(lambda: len({one.headers[REPLICA_HEADER] for one in answers}) == 2)
        finally:
            stopping.set()
            for client in clients:
                client.join()
        _until(lambda: len(cluster.processes()) == 1)
        assert {one.status_code for one in answers} == {200}
        assert len({one.content for one in answers}) == 1
        assert _speak(cluster.url).status_code == 200


def _until(condition: Callable[[], object]) -> None:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < PATIENCE_S, "timed out"
        time.sleep(0.1)


@dataclass
class Head:
    """A cluster started by `ray start`, with one pretended GPU."""

    address: str
    environment: dict[str, str]

    def run(self, *command: str) -> str:
        done = subprocess.run(
            [BIN / command[0], *command[1:]], env=self.environment, text=True, timeout=PATIENCE_S,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    def used(self) -> dict[str, str]:
        """Used and total amount of each resource."""
        lines = self.run("ray", "status", "--address", self.address).splitlines()
        found = (re.match(r" (\S+/\S+) (CPU|GPU)", line) for line in lines)
        return {one[2]: one[1] for one in found if one}


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    address = f"127.0.0.1:{_free_port()}"
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        environment = {
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_ADDRESS": address,
            "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": CALLBACK,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
        }
        command = f"start --head --block --node-ip-address 127.0.0.1 --temp-dir {short}"
        command += f" --port {address.partition(':')[2]} --min-worker-port 0 --max-worker-port 0"
        command += " --num-cpus 4 --num-gpus 1 --object-store-memory 80000000"
        command += " --include-dashboard false"
        log = Path(short) / "log"
        with log.open("w") as file:
            process = subprocess.Popen(
                [BIN / "ray", *command.split()], env=environment, stdout=file, stderr=file
            )
        try:
            _until(lambda: process.poll() is not None or "Ray runtime started" in log.read_text())
            assert process.poll() is None, log.read_text()
            yield Head(address, environment)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE_S)
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number: int = listener.getsockname()[1]
        return number


def test_a_missing_cluster_is_reported_at_once() -> None:
    command = f"-m causerie serve --ray --ray-address 127.0.0.1:{_free_port()} --port 0"
    done = subprocess.run(
        [sys.executable, *command.split()], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert re.search(r"there is no Ray cluster at 127\S+: .*refused", done.stderr)
    assert "Traceback" not in done.stderr


def test_replicas_in_a_joined_cluster_share_a_gpu(head: Head, tmp_path: Path) -> None:
    flags = f"--ray-address {head.address} --replicas 2 --gpus-per-replica 0.5 --device cpu"
    with serving(tmp_path, *flags.split(), **head.environment) as cluster:
        _until(lambda: head.used() == {"CPU": "2.0/4.0", "GPU": "1.0/1.0"})
        found: set[str] = set()
        _until(lambda: len(found.add(_speak(cluster.url).headers[REPLICA_HEADER]) or found) == 2)
        cluster.process.terminate()
        assert cluster.process.wait(PATIENCE_S) == 0
    _until(lambda: head.used() == {"CPU": "0.0/4.0", "GPU": "0.0/1.0"})


def test_serve_run_takes_settings_as_arguments(head: Head, tmp_path: Path) -> None:
    port = _free_port()
    head.run("serve", "start", "--http-port", str(port))
    command = (
        f"run causerie.server.ray.deployment:app model=petit max_streams=3 voices={tmp_path}/voices"
    )
    url = f"http://127.0.0.1:{port}"
    answer = httpx.get(f"{url}/v1/models")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_replica")
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [BIN / "serve", *command.split()], env=head.environment, stdout=log, stderr=log
        )
        try:
            _until(lambda: process.poll() is not None or _is_ready(url))
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert httpx.get(f"{url}/ready").json()["max_streams"] == 3
            assert len(_speak(url).content) > 24_000
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
    head.run("serve", "shutdown", "--yes")


def _is_ready(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/ready").status_code == 200
    return False
