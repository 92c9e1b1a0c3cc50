"""`causerie bench`: measures, prints, reads its results again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from causerie.cli import app

SMALL = [
    "bench", "--subject", "tiny", "--threads", "1", "--frames", "1", "--rounds", "1", "--sounds",
    "1", "--streams", "1,2", "--contexts", "3", "--prefill", "4",
    "--measures", "frame,context,streams,prefill,first-sound,codec",
]  # fmt: skip


def run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_lines_become_tables(tmp_path: Path) -> None:
    lines = run(*SMALL, "--json")
    assert {json.loads(line)["subject"] for line in lines.splitlines()} == {"tiny"}
    found = tmp_path / "found.jsonl"
    found.write_text(lines)
    assert run("bench", "--from", str(found), "--json") == lines
    assert "a frame of one stream" in run("bench", "--from", str(found))
    text = run("bench", "--from", str(found), "--markdown")
    assert "**tiny: prefill of 4 rows**" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--streams", "1,two"], "is not a list of whole numbers"),
        (["--from", "nowhere.jsonl"], "cannot read the results"),
        (["--peers", "nobody"], "no peer nobody"),
    ],
)
def test_errors_are_one_line(words: list[str], message: str) -> None:
    result = CliRunner().invoke(app, [*SMALL, *words])
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
