"""What a process imports: each module here would cost every start time and memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

#: Needed by training, the server, the hub or plots; not by a reply.
NOT_BY_SPEAKING = {
    "torch._dynamo", "torch._inductor", "sympy", "networkx", "jinja2", "huggingface_hub", "httpx",
    "httpx2", "requests", "transformers", "accelerate", "matplotlib", "pandas", "scipy",
    "pydantic", "fastapi", "starlette", "uvicorn", "typer", "rich", "causerie.server",
    "causerie.train", "causerie.cli",
}  # fmt: skip
#: Those, and the libraries of speaking.
NOT_BY_THE_COMMAND_LINE = (NOT_BY_SPEAKING - {"typer", "rich", "causerie.cli"}) | {
    "torch", "numpy", "tokenizers", "safetensors", "sentencex", "soundfile", "soxr",
}  # fmt: skip


def imported_by(code: str, *arguments: str) -> set[str]:
    """The modules in a fresh process that ran some code with these arguments."""
    show = "import sys; print(*sys.modules, sep='\\n', file=sys.stderr)"
    wrapped = f"try:\n    {code}\nexcept SystemExit: pass\n{show}"
    command = [sys.executable, "-c", wrapped, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines())


def test_speaking() -> None:
    modules = imported_by("from causerie import TTS; TTS.from_pretrained().generate('Hi.')")
    assert "causerie.engine.engine" in modules
    assert sorted(modules & NOT_BY_SPEAKING) == []


def test_the_command_that_speaks(tmp_path: Path) -> None:
    options = ["say", "Hi.", "--seed", "1", "--output", str(tmp_path / "hi.wav")]
    modules = imported_by("from causerie.cli import main; main()", *options)
    assert "causerie.engine.engine" in modules
    assert sorted(modules & (NOT_BY_SPEAKING - {"typer", "rich", "causerie.cli"})) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["say", "--help"],
        ["say", "--no-such-option"],
        ["say", "--seed", "x"],
        ["say", "Hi.", "-o", "a.wav", "--model", "no model"],
        ["say", "Hi.", "-o", "a.wav", "--model", str(Path(__file__).parent)],
    ],
)
def test_command_line(arguments: list[str]) -> None:
    modules = imported_by("from causerie.cli import main; main()", *arguments)
    assert "causerie.cli" in modules
    assert sorted(modules & NOT_BY_THE_COMMAND_LINE) == []
