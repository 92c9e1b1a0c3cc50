"""A tiny CSM of transformers, and the same through our converters."""

from __future__ import annotations

from pathlib import Path

import pytest
import transformers

from causerie.checkpoint import Checkpoint, load
from tests.parity import references


@pytest.fixture(scope="module")
def reference() -> transformers.CsmForConditionalGeneration:
    return references.csm_of_transformers()


@pytest.fixture(scope="module")
def folder(
    reference: transformers.CsmForConditionalGeneration, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return references.save(reference, tmp_path_factory.mktemp("csm"))


@pytest.fixture(scope="module")
def ours(folder: Path) -> Checkpoint:
    return load(folder)
