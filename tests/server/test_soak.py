"""benchmarks/soak.py for half a minute: equal replies, and clients that leave."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "soak.py"


def test_replies_do_not_depend_on_load_and_slots_are_freed(tmp_path: Path) -> None:
    picture = tmp_path / "soak.png"
    command = "--minutes 0.5 --clients 8 --max-growth 0.2 --plot".split()
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *command, str(picture)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ways = "pcm mp3 wav opus flac sse upload websocket elevenlabs realtime wyoming".split()
    for way in ways:
        found = re.search(rf"^\| {way} +\| +([0-9,]+) \| +([0-9,]+) \|$", done.stdout, re.M)
        assert found, done.stdout
        complete, left = (int(number.replace(",", "")) for number in found.groups())
        assert complete, f"no reply by {way} was complete"
        assert left, f"no client left a reply by {way}"
    assert picture.stat().st_size > 5_000
