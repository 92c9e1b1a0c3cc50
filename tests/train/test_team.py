"""Two processes on the CPU learn what one learns."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from causerie.errors import ConfigError
from causerie.train.processes import find_processes
from tests.train.test_lm import assert_same, training

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port


def test_two_processes_give_the_losses_and_weights_of_one(tmp_path: Path) -> None:
    usual = os.environ | {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo",
    }  # fmt: skip
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.train.team_worker", str(tmp_path)],
            cwd=ROOT,
            env=usual | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    seen: list[dict[str, float]] = []
    alone = training(tmp_path / "alone")
    alone.run(lambda step, numbers: seen.append(numbers))
    for worker in workers:
        _, errors = worker.communicate(timeout=900)
        assert worker.returncode == 0, errors
    together = json.loads((tmp_path / "losses.json").read_text())
    assert len(together) == len(seen) == 6
    for ours, theirs in zip(together, seen, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)
    state = torch.load(tmp_path / "state.pt", weights_only=True)["modules"]["model"]
    assert_same(state, torch.load(tmp_path / "second.pt", weights_only=True))
    for name, tensor in alone.model.state_dict().items():
        torch.testing.assert_close(state[name], tensor, atol=2e-5, rtol=1e-4)


def test_a_batch_must_have_something_for_each(tmp_path: Path) -> None:
    class Many:
        num_processes = 7

    with pytest.raises(ConfigError, match="a batch of 6 conversations is too small for 7 proc"):
        training(tmp_path, processes=Many())


def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match='device "cuda" is not there'):
        find_processes("cuda")
