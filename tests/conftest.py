"""Fixtures that many tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from causerie.checkpoint import save
from tests import tiny


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder in our own layout with a tiny random model; do not change it."""
    folder = tmp_path_factory.mktemp("tiny")
    save(folder, tiny.checkpoint())
    return folder
