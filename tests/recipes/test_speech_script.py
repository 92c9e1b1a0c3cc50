"""make_all_speech.sh with an interpreter that only notes what it is asked: order, and failures."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

FAKE = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in *"$FAILING"*) exit 3 ;; esac
case "$*" in
    voices.py) printf 'slow 1.5 speech\\nother 2.0 aside\\nquick 15.0 speech\\n' ;;
    make_speech.py*) mkdir -p "$3" 2> /dev/null || true; mkdir -p "$WORK/speech" ;;
    *) echo "A text of $1." ;;
esac
"""


def run(recipe: Path, folder: Path, failing: str = "nothing") -> tuple[int, list[str]]:
    """Exit status of make_all_speech.sh, and the command lines it gave to python."""
    fake = folder / "bin" / "python"
    fake.parent.mkdir(exist_ok=True)
    fake.write_text(FAKE)
    fake.chmod(0o755)
    calls, work = folder / "calls", folder / "work"
    calls.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "PATH": f"{fake.parent}{os.pathsep}{os.environ['PATH']}",
        "CALLS": str(calls),
        "WORK": str(work),
        "FAILING": failing,
    }
    done = subprocess.run(
        ["bash", str(recipe / "make_all_speech.sh"), "work", "words"],
        cwd=folder,
        env=environment,
        check=False,
    )
    return done.returncode, calls.read_text().splitlines()


def test_every_voice_of_the_plan_speaks(recipe: Path, tmp_path: Path) -> None:
    status, calls = run(recipe, tmp_path)
    assert status == 0
    work = tmp_path / "work"
    assert (work / "speech" / "done").exists()
    texts = (work / "sentences.txt").read_text()
    assert texts == "A text of wordnet_sentences.py.\nA text of everyday_sentences.py.\n"
    spoken = {call.split()[5]: call for call in calls if call.startswith("make_speech.py")}
    assert [*sorted(spoken)] == ["other", "quick", "slow"]
    first = min(number for number, call in enumerate(calls) if call.startswith("make_speech.py"))
    assert calls.index("kokoro_teacher.py") < first, "its model is assembled once"
    for voice, hours, folder in (("slow", "1.5", "speech"), ("other", "2.0", "aside")):
        assert spoken[voice].split()[3] == str(work / folder)
        assert f"--hours {hours} --dialogues {work}/dialogues.jsonl" in spoken[voice]


def test_sentences_are_written_once(recipe: Path, tmp_path: Path) -> None:
    run(recipe, tmp_path)
    _, calls = run(recipe, tmp_path)
    assert not any("sentences.py" in call for call in calls)


@pytest.mark.parametrize("failing", ["everyday", "dialogues.py", "voices.py", "slow", "quick"])
def test_a_failure_is_reported(recipe: Path, tmp_path: Path, failing: str) -> None:
    status, _ = run(recipe, tmp_path, failing)
    assert status == 3
    assert not (tmp_path / "work" / "speech" / "done").exists()
    assert failing != "everyday" or not (tmp_path / "work" / "sentences.txt").exists()
