"""The module file for speech-dispatcher: runs its command by sh, with a server."""

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

from tests.patience import PATIENCE_S
from tests.server.running import running

CONF = files("causerie.integrations.speech_dispatcher").joinpath("causerie-generic.conf")
LONG = "I hope that all is well with you and with your family. " * 20


def option(name: str) -> str:
    """The value of an option as speech-dispatcher reads it: lines joined, escapes resolved."""
    lines = [line for line in CONF.read_text("utf-8").splitlines() if not line.startswith("#")]
    contents = "\n".join(lines).replace("\\\n", "")
    found = re.search(rf'^{name}\s+"((?:[^"\\]|\\.)*)"', contents, re.MULTILINE)
    assert found, name
    return re.sub(r"\\(.)", r"\1", found[1])


def command(text: str, port: int, player: str, rate: int = 0, volume: int = 100) -> list[str]:
    """The command that sd_generic builds from the option."""
    filled = option("GenericExecuteSynth").replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    for name, value in {
        "$PLAY_COMMAND": player, "$RATE": str(rate), "$VOLUME": str(volume), "$VOICE": "theo",
    }.items():  # fmt: skip
        filled = filled.replace(name, value)
    before, after = filled.split("$DATA")
    return ["sh", "-c", before + text.replace("'", "'\\''") + after]


def spoken(tmp_path: Path, port: int, text: str, **options: int) -> np.ndarray:
    """The samples that reach the player."""
    played = tmp_path / "played.wav"
    done = subprocess.run(command(text, port, f"cat > {played}", **options), timeout=60)
    assert done.returncode == 0
    return np.frombuffer(played.read_bytes()[44:], "<i2")


def test_rate_and_volume_are_applied(tmp_path: Path) -> None:
    with running(tmp_path / "voices") as server:
        normal = spoken(tmp_path, server.port, TEXT)
        fast = spoken(tmp_path, server.port, TEXT, rate=50)
        soft = spoken(tmp_path, server.port, TEXT, volume=-80)
    assert len(normal) > 24_000
    assert len(fast) < 0.75 * len(normal)  # the seeds differ, so the lengths are not exact
    assert np.abs(soft).max() < 0.4 * np.abs(normal).max()


TEXT = 'It\'s "fine" \\ $(touch pwned) `touch pwned`, says\nDr. Smith: 5 € or less.'


def test_text_is_not_run_by_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with running(tmp_path / "voices") as server:
        assert len(spoken(tmp_path, server.port, TEXT)) > 24_000
    assert not (tmp_path / "pwned").exists()


def test_unspeakable_text_is_silent_and_no_failure(tmp_path: Path) -> None:
    with running(tmp_path / "voices") as server:
        assert not spoken(tmp_path, server.port, "...").any()


def test_sigkill_stops_the_audio_at_once(tmp_path: Path) -> None:
    """Stop as `module_stop` does: by SIGKILL to the process group."""
    played = tmp_path / "played"
    with running(tmp_path / "voices") as server:
        slow = f"{{ while dd bs=3840 count=1 2>/dev/null >> {played}; do sleep 0.08; done; }}"
        speaking = subprocess.Popen(command(LONG, server.port, slow), start_new_session=True)
        server.wait_for(lambda: played.exists() and played.stat().st_size > 10_000)
        os.killpg(speaking.pid, signal.SIGKILL)
        assert speaking.wait(PATIENCE_S) == -signal.SIGKILL
        size = played.stat().st_size
        server.wait_for(lambda: server.is_idle)
        time.sleep(0.2)
        assert played.stat().st_size == size


def test_the_voices_are_petits() -> None:
    from causerie.tts import TTS

    named = re.findall(r'^AddVoice\s+"en"\s+"\w+"\s+"(\w+)"', CONF.read_text("utf-8"), re.MULTILINE)
    assert sorted(named) == TTS.from_pretrained("petit").voices
    assert option("DefaultVoice") in named
