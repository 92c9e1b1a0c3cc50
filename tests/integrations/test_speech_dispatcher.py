"""The module file of speech-dispatcher: the command that it holds, run by sh beside a server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from tests.server.running import running

CONF = files("causerie.integrations.speech_dispatcher").joinpath("causerie-generic.conf")
LONG = "I hope that all is well with you and with your family. " * 20


def option(name: str) -> str:
    """What follows an option, as speech-dispatcher reads it: lines joined, backslashes undone."""
    lines = [line for line in CONF.read_text("utf-8").splitlines() if not line.startswith("#")]
    whole = "\n".join(lines).replace("\\\n", "")
    found = re.search(rf'^{name}\s+"((?:[^"\\]|\\.)*)"', whole, re.MULTILINE)
    assert found, name
    return re.sub(r"\\(.)", r"\1", found[1])


def command(text: str, port: int, player: str, rate: int = 0, volume: int = 100) -> list[str]:
    """As sd_generic makes it of the option."""
    filled = option("GenericExecuteSynth").replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    for name, value in {
        "$PLAY_COMMAND": player, "$RATE": str(rate), "$VOLUME": str(volume), "$VOICE": "theo",
    }.items():  # fmt: skip
        filled = filled.replace(name, value)
    before, after = filled.split("$DATA")
    return ["sh", "-c", before + text.replace("'", "'\\''") + after]


def said(tmp_path: Path, port: int, text: str, **how: int) -> np.ndarray:
    """Samples that reached the player."""
    played = tmp_path / "played.wav"
    done = subprocess.run(command(text, port, f"cat > {played}", **how), timeout=60)
    assert done.returncode == 0
    return np.frombuffer(played.read_bytes()[44:], "<i2")


def test_it_speaks_at_a_rate_and_a_volume(tmp_path: Path) -> None:
    with running(tmp_path / "voices") as server:
        usual = said(tmp_path, server.port, TEXT)
        fast = said(tmp_path, server.port, TEXT, rate=50)
        soft = said(tmp_path, server.port, TEXT, volume=-80)
    assert len(usual) > 24_000
    assert len(fast) < 0.75 * len(usual)  # another seed each time, so the lengths are not exact
    assert np.abs(soft).max() < 0.4 * np.abs(usual).max()


TEXT = 'It\'s "fine" \\ $(touch pwned) `touch pwned`, says\nDr. Smith: 5 € or less.'


def test_text_is_spoken_and_not_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with running(tmp_path / "voices") as server:
        assert len(said(tmp_path, server.port, TEXT)) > 24_000
    assert not (tmp_path / "pwned").exists()


def test_what_cannot_be_spoken_is_silence_and_no_failure(tmp_path: Path) -> None:
    with running(tmp_path / "voices") as server:
        assert not len(said(tmp_path, server.port, "..."))


def test_killed_it_is_silent_at_once(tmp_path: Path) -> None:
    """As `module_stop` does it: SIGKILL to the group of processes."""
    played = tmp_path / "played"
    with running(tmp_path / "voices") as server:
        slow = f"{{ while dd bs=3840 count=1 2>/dev/null >> {played}; do sleep 0.08; done; }}"
        speaking = subprocess.Popen(command(LONG, server.port, slow), start_new_session=True)
        server.wait_for(lambda: played.exists() and played.stat().st_size > 10_000)
        os.killpg(speaking.pid, signal.SIGKILL)
        assert speaking.wait(5) == -signal.SIGKILL
        size = played.stat().st_size
        server.wait_for(lambda: server.is_silent)
        time.sleep(0.2)
        assert played.stat().st_size == size


def test_its_voices_are_petits() -> None:
    from causerie.tts import TTS

    named = re.findall(r'^AddVoice\s+"en"\s+"\w+"\s+"(\w+)"', CONF.read_text("utf-8"), re.MULTILINE)
    assert sorted(named) == TTS.from_pretrained("petit").voices
    assert option("DefaultVoice") in named
