"""The server that most tests of this folder talk to: it hears what they want."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from tests.server.realtime.hearing import QUESTION, SCRIPT, Script, tts
from tests.server.running import Running, running


@pytest.fixture(autouse=True)
def hears() -> Script:
    SCRIPT.text, SCRIPT.words_per_s = QUESTION, math.inf
    SCRIPT.may_hear.set()
    SCRIPT.lengths_s.clear()
    return SCRIPT


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("voices"), tts()) as here:
        yield here
