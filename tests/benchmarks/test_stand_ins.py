"""stand_ins.py: causerie is imported without packages that a plain text does not need."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmarks.bare import BLOCKED, bare_python

ROOT = Path(__file__).parents[2]


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("stand_ins")


def test_a_package_that_is_there_stays(
    stand_ins: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    import soundfile

    monkeypatch.setattr(stand_ins, "_is_there", lambda name: name == "soundfile")
    for name in ("soxr", "sentencex"):
        monkeypatch.setitem(sys.modules, name, sys.modules.get(name))
    assert stand_ins.install() == ["soxr", "sentencex"]
    assert stand_ins.missing() == ["soxr", "sentencex"]
    assert sys.modules["soundfile"] is soundfile


def test_what_is_missing_says_so_when_it_is_used(stand_ins: ModuleType) -> None:
    module = stand_ins.Missing("soundfile")
    with pytest.raises(ModuleNotFoundError, match="soundfile is not installed"):
        _ = module.SoundFile


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello. How are you?", ["Hello. ", "How are you?"]),
        ("Wait!!  What", ["Wait!!  ", "What"]),
        ("No end", ["No end"]),
        ("", []),
    ],
)
def test_sentences(stand_ins: ModuleType, text: str, expected: list[str]) -> None:
    assert list(stand_ins.segment("en", text)) == expected


@pytest.mark.slow
def test_petit_speaks_with_torchs_own_packages(tmp_path: Path) -> None:
    """As on a machine with a GPU and a container of torch's."""
    done = subprocess.run(
        [*bare_python(tmp_path), str(ROOT / "benchmarks" / "gpu.py"),
         "--device", "cpu", "--subject", "tiny", "--seconds", "600", "--steps", "facts,petit",
         "--out", str(tmp_path / "run")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    ends = {line["step"]: line for line in lines if line["name"] == "outcome"}
    assert done.returncode == 0, done.stdout + done.stderr
    assert ends["facts"]["status"] == ends["petit"]["status"] == "done"
    assert ends["plot"] == ends["plot"] | {
        "status": "left out",
        "why": "matplotlib is not installed",
    }
    missing = next(line["value"] for line in lines if line["name"] == "missing packages")
    assert missing == "soundfile, soxr, sentencex"
    assert "matplotlib" in BLOCKED
    assert sorted(path.name for path in (tmp_path / "run" / "sound").iterdir()) == [
        "0.wav", "1.wav", "texts.json",
    ]  # fmt: skip
