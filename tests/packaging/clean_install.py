"""Tests what `make dist` built: the wheel speaks in a clean environment, the sdist's tests run.

    python tests/packaging/clean_install.py DIST

Nothing of the repository is on the path meanwhile, and the wheel speaks without a network where the
system lets a process be cut off from it.
"""

from __future__ import annotations

import array
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import wave
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Tests that need no server and train nothing, about a quarter of all.
QUICK = [
    "tests/packaging",
    "tests/audio",
    "tests/checkpoint",
    "tests/nn",
    "tests/native",
    "tests/text",
]

#: Prints the kernels in use and where causerie is.
FACTS = (
    "import causerie; from causerie import native; "
    "assert not native.problem(), native.problem(); "
    "print(causerie.__version__, native.describe(), causerie.__file__, sep='\\n')"
)


def run(*command: str | Path, folder: Path, network: bool = True) -> str:
    """The output of a command, without variables that lead to this checkout."""
    line = [*map(str, command)]
    if not network:
        line = [*offline(), *line]
    print("$", *line, flush=True)
    hidden = ("PYTHON", "MAKE", "MFLAGS", "VIRTUAL_ENV", "CAUSERIE_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    done = subprocess.run(line, cwd=folder, env=clean, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{' '.join(line)} failed with {done.returncode}")
    return done.stdout


def offline() -> list[str]:
    """A command that runs another without a network; empty where the system refuses."""
    command = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") and not subprocess.run([*command, "true"]).returncode:
        return command
    print("the network cannot be cut off here, so the wheel speaks with it")
    return []


def check_wheel(wheel: Path, folder: Path) -> None:
    """The wheel alone speaks, in an empty folder."""
    environment, empty = folder / "venv", folder / "empty"
    empty.mkdir()
    venv.create(environment, with_pip=True)
    python, constraints = environment / "bin" / "python", ROOT / "constraints.txt"
    run(python, "-m", "pip", "install", "--quiet", "-c", constraints, wheel, folder=empty)
    facts = run(python, "-c", FACTS, folder=empty).split("\n")
    print(*facts, sep="\n")
    assert Path(facts[2]).is_relative_to(environment), facts[2]
    assert f"-{facts[0]}-" in wheel.name, f"the wheel {wheel.name} says that it is {facts[0]}"
    command = [environment / "bin" / "causerie", "say", "Hello", "-o", "hello.wav"]
    run(*command, folder=empty, network=False)
    with wave.open(str(empty / "hello.wav")) as sound:
        seconds = sound.getnframes() / sound.getframerate()
        samples = array.array("h", sound.readframes(sound.getnframes()))
    assert max(samples) > 3000, f"hello.wav is nearly silent: {max(samples)} of 32767"
    assert 0.2 < seconds < 5, f"hello.wav takes {seconds} s"
    print(f"{wheel.name} says Hello in {seconds:.2f} s of audio")


def check_sdist(sdist: Path, folder: Path) -> None:
    """The sdist's tests are all collected, and the quick ones pass."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder)
    (source,) = (path for path in folder.iterdir() if path.name.startswith("causerie-"))
    environment = folder / "venv-dev"
    run(
        "make",
        f"VENV={environment}",
        f"PYTHON={sys.executable}",
        environment / ".dev",
        folder=source,
    )
    pytest = [environment / "bin" / "python", "-m", "pytest", "-q"]
    print(run(*pytest, "--collect-only", folder=source).strip().splitlines()[-1])
    print(run(*pytest, *QUICK, folder=source).strip().splitlines()[-1])


def main() -> None:
    """Check the one wheel with kernels and the one sdist of a folder."""
    dist = Path(sys.argv[1]).resolve()
    (wheel,) = (path for path in dist.glob("*.whl") if not path.name.endswith("-any.whl"))
    (sdist,) = dist.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        check_wheel(wheel, Path(folder))
        check_sdist(sdist, Path(folder))


if __name__ == "__main__":
    main()
