"""Fixtures that many tests share."""

from __future__ import annotations

import os
from pathlib import Path

# Triton reads it when it is imported, which torch may do: kernels run on the CPU, slowly.
os.environ["TRITON_INTERPRET"] = "1"
# For the processes that tests start; for this one, see below.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import httpx._config
import pytest
import torch

from causerie.checkpoint import save
from tests import tiny
from tests.patience import PATIENCE_S

# One thread: tiny models gain nothing from more, and two threads whose core another process takes
# wait for each other at every product (the suite took five times as long).
torch.set_num_threads(1)

# httpx gives up after 5 s, in which a busy machine may not answer.
for _phase in ("connect", "read", "write", "pool"):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, _phase, PATIENCE_S)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out a file of slow tests whose parameters take seconds to make."""
    is_left_out = collection_path.name == "test_schema.py" and config.option.markexpr == "not slow"
    return True if is_left_out else None


@pytest.fixture(autouse=True)
def no_progress_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal, a command that takes long prints a line: not what tests look for."""
    monkeypatch.setattr("causerie.cli.console.LINE_S", float("inf"))
    monkeypatch.setattr("causerie.cli.progress.LINE_EVERY_S", float("inf"))


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder in our own layout with a tiny random model; do not change it."""
    folder = tmp_path_factory.mktemp("tiny")
    save(folder, tiny.checkpoint())
    return folder
