"""Runs the documents' snippets that need the packages of this environment, with a real server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.process import served

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "127.0.0.1:8000"
FENCE = re.compile(r"^```(python|js) clients\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SNIPPETS = [
    pytest.param(*found.groups(), id=f"{page.stem}-{number}")
    for page in sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    for number, found in enumerate(FENCE.finditer(page.read_text(encoding="utf-8")), 1)
]


def test_the_documents_have_client_snippets() -> None:
    assert SNIPPETS


@pytest.mark.parametrize(("language", "code"), SNIPPETS)
def test_the_snippet_runs(language: str, code: str, tmp_path: Path) -> None:
    with served(tmp_path) as running:
        code = code.replace(ADDRESS, running.url.removeprefix("http://"))
        if language == "js":
            # Node looks for packages in the folder of the program.
            program = ROOT / "tests" / "clients" / "node" / f"snippet-{os.getpid()}.mjs"
            command = ["node", str(program)]
        else:
            program = tmp_path / "snippet.py"
            command = [sys.executable, str(program)]
        program.write_text(code, encoding="utf-8")
        try:
            done = subprocess.run(
                command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
            )
        finally:
            program.unlink()
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
