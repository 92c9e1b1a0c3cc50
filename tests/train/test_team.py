"""Two processes on the CPU train as one does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from causerie.errors import ConfigError
from causerie.train.processes import find_processes
from tests.train.launch import finish, start
from tests.train.lm.test_training import assert_same, training

pytestmark = pytest.mark.slow


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


def test_each_process_needs_a_conversation(tmp_path: Path) -> None:
    class SevenProcesses:
        num_processes = 7

    with pytest.raises(ConfigError, match="a batch of 6 conversations is too small for 7 proc"):
        training(tmp_path, processes=SevenProcesses())


def test_missing_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match='device "cuda" is not available'):
        find_processes("cuda")
