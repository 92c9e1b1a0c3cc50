"""The server that most tests of this folder ask; some have one of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.running import Running, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One for each module, without a key."""
    with running(tmp_path_factory.mktemp("voices")) as here:
        yield here
