"""Two processes on the CPU learn what one learns."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from causerie.errors import ConfigError
from causerie.train.codec.encoder import new_codec, train_encoder
from causerie.train.processes import find_processes
from tests.train.codec.test_codec import ENCODER, TINY
from tests.train.lm.test_training import assert_same, training
from tests.train.speech import write_speech_folder

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port


def start(module: str, *arguments: Path) -> list[subprocess.Popen[str]]:
    """Two processes that find each other."""
    usual = os.environ | {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo",
    }  # fmt: skip
    return [
        subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=ROOT,
            env=usual | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def finish(workers: list[subprocess.Popen[str]]) -> None:
    for worker in workers:
        _, errors = worker.communicate(timeout=900)
        assert worker.returncode == 0, errors


def test_two_processes_give_the_losses_and_weights_of_one(tmp_path: Path) -> None:
    workers = start("tests.train.team_worker", tmp_path)
    seen: list[dict[str, float]] = []
    alone = training(tmp_path / "alone")
    alone.run(lambda step, numbers: seen.append(numbers))
    finish(workers)
    together = json.loads((tmp_path / "losses.json").read_text())
    assert len(together) == len(seen) == 6
    for ours, theirs in zip(together, seen, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)
    state = torch.load(tmp_path / "state.pt", weights_only=True)["modules"]["model"]
    assert_same(state, torch.load(tmp_path / "second.pt", weights_only=True))
    for name, tensor in alone.model.state_dict().items():
        torch.testing.assert_close(state[name], tensor, atol=2e-5, rtol=1e-4)


def test_two_processes_train_one_codec(tmp_path: Path) -> None:
    speech, out = write_speech_folder(tmp_path / "speech"), tmp_path / "out"
    workers = start("tests.train.codec.team_worker", speech, out)
    alone = train_encoder(TINY, dataclasses.replace(ENCODER, batch=4), speech, tmp_path / "alone")
    finish(workers)
    together = torch.load(out / "encoder/state.pt", weights_only=True)["modules"]["codec"]
    start_of = new_codec(TINY, ENCODER.seed, None).state_dict()
    moved, apart = [0.0, 0.0], [0.0, 0.0]  # of weights, of codebooks
    for name, tensor in alone.state_dict().items():
        moved["centroids" in name] += (tensor - start_of[name]).square().sum().item()
        apart["centroids" in name] += (tensor - together[name]).square().sum().item()
    # Adam makes a step of the last digit of a small gradient, and k-means a code
    assert apart[0] < 0.02 * moved[0]
    assert apart[1] < 0.02 * moved[1]
    whole = torch.load(out / "codec/state.pt", weights_only=True)["modules"]["codec"]
    assert_same(whole, torch.load(out / "second.pt", weights_only=True))


def test_windows_are_shared_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    three = SimpleNamespace(process_index=0, num_processes=3)
    monkeypatch.setattr("causerie.train.codec.windows.find_processes", lambda device: three)
    with pytest.raises(ConfigError, match="a batch of 2 windows cannot be shared by 3 processes"):
        train_encoder(TINY, ENCODER, write_speech_folder(tmp_path / "speech"), tmp_path)


def test_a_batch_must_have_something_for_each(tmp_path: Path) -> None:
    class Many:
        num_processes = 7

    with pytest.raises(ConfigError, match="a batch of 6 conversations is too small for 7 proc"):
        training(tmp_path, processes=Many())


def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match='device "cuda" is not there'):
        find_processes("cuda")
