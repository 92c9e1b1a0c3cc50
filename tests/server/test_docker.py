"""The images, as far as they can be tested without Docker: what they copy, their user, and that the
image's command serves, in this environment."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import httpx
import pytest

from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted((ROOT / "docker").glob("Dockerfile*"))

Instruction = tuple[str, str]


def _instructions(path: Path) -> list[Instruction]:
    """The instructions without comments, each on one line."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    pairs = (line.split(maxsplit=1) for line in text.splitlines() if line.strip())
    return [(name, rest) for name, rest in pairs]


def _last_stage(path: Path) -> list[Instruction]:
    instructions = _instructions(path)
    (*_, start) = (place for place, (name, _) in enumerate(instructions) if name == "FROM")
    return instructions[start:]


def _environment(path: Path) -> dict[str, str]:
    """The environment variables of the last stage."""
    texts = [rest for name, rest in _last_stage(path) if name == "ENV"]
    return dict(re.findall(r"(\w+)=(\S+)", " ".join(texts)))


def _json(path: Path, wanted: str) -> list[str]:
    """The command of an instruction of the last stage."""
    (rest,) = (rest for name, rest in _last_stage(path) if name == wanted)
    command = json.loads(rest[rest.index("[") :])
    assert all(isinstance(part, str) for part in command)
    return command


def _passes(source: str) -> bool:
    """Whether .dockerignore includes a file in the build context."""
    is_in = True
    for rule in (ROOT / ".dockerignore").read_text().split("\n"):
        pattern = rule.removeprefix("!")
        if rule and not rule.startswith("#") and fnmatch(source, pattern):
            is_in = rule.startswith("!")
    return is_in


def test_there_are_two_images() -> None:
    assert [path.name for path in DOCKERFILES] == ["Dockerfile", "Dockerfile.cuda"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
class TestBoth:
    def test_copied_files_exist(self, path: Path) -> None:
        copied = [rest.split() for name, rest in _instructions(path) if name == "COPY"]
        sources = [
            source for words in copied if not words[0].startswith("--from") for source in words[:-1]
        ]
        assert {"src", "pyproject.toml", "constraints.txt", "hatch_build.py"} <= {*sources}
        for source in sources:
            assert (ROOT / source).exists(), source
            assert _passes(source), f".dockerignore keeps {source} out"
        project = (ROOT / "pyproject.toml").read_text()
        for named in re.findall(r'path = "(\w+\.(?:md|py))"', project):
            assert named in sources, f"the build needs {named}"

    def test_the_user_is_not_root(self, path: Path) -> None:
        names = [name for name, _ in _last_stage(path)]
        (user,) = (rest for name, rest in _last_stage(path) if name == "USER")
        assert int(user.split(":")[0]) > 0
        assert not {"RUN", "COPY"} & {*names[names.index("USER") :]}, "that would be the user's"

    def test_requirements_match_the_package(self, path: Path) -> None:
        (line,) = (rest for name, rest in _instructions(path) if "requirements.py" in rest
                   and name == "RUN")  # fmt: skip
        command = line.split(">")[0].split()
        script = ROOT / "docker" / command[1]
        done = subprocess.run(
            [sys.executable, script, *command[2:]], cwd=ROOT, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        names = [re.split(r"[<>=\[]", one)[0] for one in done.stdout.splitlines()]
        assert {"torch", "fastapi", "uvicorn", "av", "opentelemetry-sdk"} <= {*names}
        assert not {"pytest", "ray"} & {*names}

    def test_constrained_packages_can_come_from_pypi(self, path: Path) -> None:
        """The index of torch may lack the tested versions of its dependencies."""
        assert not re.search(r"\s--index-url\b", path.read_text())

    def test_torch_comes_first_and_the_source_last(self, path: Path) -> None:
        """A change of the source must rebuild the last layer only."""
        text = path.read_text()
        order = ["torch\n", "COPY pyproject.toml", "requirements.txt\n", "COPY src", "--no-deps ."]
        places = [text.index(part) for part in order]
        assert places == sorted(places)


def test_the_cuda_image_does_not_fall_back_to_the_cpu() -> None:
    assert _environment(ROOT / "docker" / "Dockerfile.cuda")["CAUSERIE_DEVICE"] == "cuda"


def test_the_cuda_image_compiles_the_kernels_of_triton() -> None:
    """With a C compiler, Python's headers, which this base has, and a folder for the results."""
    path = ROOT / "docker" / "Dockerfile.cuda"
    stage = _last_stage(path)
    assert stage[0] == ("FROM", "python:${PYTHON}-slim")
    installed = next(rest for name, rest in stage if name == "RUN" and "apt-get install" in rest)
    assert {"gcc", "libc6-dev"} <= {*installed.split()}
    volumes = [rest for name, rest in stage if name == "VOLUME"]
    assert _environment(path)["TRITON_CACHE_DIR"].startswith(f"{volumes[0]}/")


@pytest.mark.slow
def test_the_command_needs_a_key_to_serve(tmp_path: Path) -> None:
    path = ROOT / "docker" / "Dockerfile"
    program, *arguments = [*_json(path, "ENTRYPOINT"), *_json(path, "CMD")]
    assert program == "causerie"
    command = [sys.executable, "-m", "causerie", *arguments]
    with socket.create_server(("", 0)) as free:
        port = str(free.getsockname()[1])
    # The image's variables, except for paths and the port, which other tests may use.
    environment = {**os.environ, **_environment(path), "PATH": os.environ["PATH"]}
    environment |= {"CAUSERIE_VOICES": str(tmp_path), "CAUSERIE_PORT": port}
    refused = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "--api-key" in refused.stderr
    assert "Traceback" not in refused.stderr

    _, *check = _json(path, "HEALTHCHECK")
    health = [sys.executable, *check]
    environment["CAUSERIE_API_KEY"] = "secret"
    assert subprocess.run(health, env=environment, stderr=subprocess.DEVNULL).returncode != 0
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert any("/ready" in line for line in process.stdout), "it did not start"
            assert subprocess.run(health, env=environment).returncode == 0
            url = f"http://127.0.0.1:{port}/v1/audio/voice_consents"
            assert httpx.get(url).status_code == 401
            assert httpx.get(url, headers={"authorization": "Bearer secret"}).status_code == 200
        finally:
            process.terminate()
        assert process.wait(PATIENCE_S) == 0
