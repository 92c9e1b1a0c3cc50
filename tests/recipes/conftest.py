"""The recipe's scripts as modules, as they find each other when one of them runs."""

from __future__ import annotations

from pathlib import Path

import pytest

RECIPE = Path(__file__).parents[2] / "recipes" / "petit"


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recipe's folder, on the import path."""
    monkeypatch.syspath_prepend(RECIPE)
    return RECIPE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder slow: the recipe is not part of the package."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
