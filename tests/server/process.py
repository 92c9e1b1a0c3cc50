"""`causerie serve` in a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.patience import PATIENCE_S


class Served:
    """A server process, its URL and its log.

    Attributes:
        wyoming: port of its Wyoming server, 0 without one.
    """

    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        self.process, self.url, self._log = process, url, log
        self.wyoming = 0

    @property
    def log(self) -> str:
        """The log so far."""
        return self._log.read_text()

    def terminate(self) -> None:
        """Send SIGTERM, as Docker and systemd do."""
        self.process.send_signal(signal.SIGTERM)


@contextlib.contextmanager
def served(
    folder: Path, *flags: str, under: Sequence[str] = (), **environment: str
) -> Iterator[Served]:
    """Serve until the block ends; enters it once the server prints its address.

    Args:
        folder: for voices and the log.
        under: a command that runs the command of the server.
    """
    log = folder / "log"
    command = [sys.executable, "-m", "causerie", "serve", "--port", "0"]
    with log.open("w") as file:
        process = subprocess.Popen(
            [*under, *command, "--voices", str(folder / "voices"), *flags],
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env={**os.environ, **environment},
        )
    too_late = threading.Timer(PATIENCE_S, process.kill)
    too_late.start()
    assert process.stdout is not None
    try:
        url = next((found for line in process.stdout if (found := _url(line))), None)
        too_late.cancel()
        assert url, f"the server did not start:\n{log.read_text()}"
        here = Served(process, url, log)
        if "--wyoming" in flags:
            found = (re.search(r"tcp://[^ ]+:(\d+)", line) for line in process.stdout)
            here.wyoming = int(next(one for one in found if one)[1])
        # Later output must not fill the pipe.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield here
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE_S)
        assert code == 0, f"the server exited with {code}:\n{log.read_text()}"
    finally:
        too_late.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


def _url(line: str) -> str | None:
    found = re.search(r"http://[^ ]+:\d+", line)
    return found[0] if found else None
