"""Two runs never write into one folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from causerie.errors import ConfigError
from causerie.folder_lock import LOCK_FILE, holds_only_lock, lock_folder

HOLD = """
import sys
from pathlib import Path
from causerie.folder_lock import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_locked_folder_is_refused_until_its_process_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    with holder:
        assert holder.stdout.readline() == "locked\n"
        message = f"out is in use by process {holder.pid} on {socket.gethostname()}: wait until"
        for _ in range(2):
            with pytest.raises(ConfigError, match=message), lock_folder(folder):
                pass
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    with lock_folder(folder):
        assert (
            folder / LOCK_FILE
        ).read_text() == f"process {os.getpid()} on {socket.gethostname()}"
    assert holds_only_lock(folder)


def test_a_lock_is_released_at_the_end_and_by_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock_folder(tmp_path):
        _ = 1 / 0
    refused = pytest.raises(ConfigError, match=f"in use by process {os.getpid()}")
    with lock_folder(tmp_path), refused, lock_folder(tmp_path):
        pass
    (tmp_path / "file").touch()
    assert not holds_only_lock(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = pytest.raises(ConfigError, match=r"cannot write into .*file/out")
    with refused, lock_folder(tmp_path / "file" / "out"):
        pass
