"""A preparation that is killed by the system in the middle of writing a file.

python -m tests.data.killed FOLDER OUT NUMBER     dies while it writes its file NUMBER
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.data.prepared import run

_replace = Path.replace


def main(folder: str, out: str, number: str) -> None:
    left = int(number)

    def die(path: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left == 0:  # the file is written, but not yet in its place
            os.kill(os.getpid(), signal.SIGKILL)
        return _replace(path, target)

    Path.replace = die  # type: ignore[assignment,method-assign]
    run(Path(folder), Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
