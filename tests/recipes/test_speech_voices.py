"""The plan of voices: what is in it, what it refuses, and who speaks in a dialogue."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def voices(recipe: Path) -> ModuleType:
    return importlib.import_module("voices")


def test_the_plan_has_eight_voices_of_both_sexes_and_three_kept_aside(voices: ModuleType) -> None:
    plan = voices.read_voices()
    trained = [voice for voice in plan.values() if not voice.kept_aside]
    assert len(trained) >= 8
    assert {voice.sex for voice in trained} == {"f", "m"}
    assert len(plan) == len(trained) + 3
    recipes = {
        (v.teacher, v.pitch, v.formant, *sorted(v.timbre.items()), *sorted(v.prosody.items()))
        for v in plan.values()
    }
    assert len(recipes) == len(plan)


def test_two_different_voices_speak_in_a_dialogue_and_none_kept_aside(voices: ModuleType) -> None:
    plan = voices.read_voices()
    casts = [voices.cast(f"d{number:05d}", plan) for number in range(2_000)]
    assert casts == [voices.cast(f"d{number:05d}", plan) for number in range(2_000)]
    assert all(first != second for first, second in casts)
    heard = Counter(name for pair in casts for name in pair)
    assert {*heard} == {name for name, voice in plan.items() if not voice.kept_aside}
    assert min(heard.values()) > 100


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('sex = "x"\nteacher = "hibari"\nhours = 1', "sex is 'x'"),
        ('sex = "f"\nteacher = "espeak"\nhours = 1', "no teacher 'espeak'"),
        ('sex = "f"\nteacher = "hibari"\nhours = 0', "above 0"),
        (
            'sex = "f"\nteacher = "kokoro"\nhours = 1\ntimbre = {jm_kumo = 0.5}',
            "add up to 1, not 0.5",
        ),
        ('sex = "f"\nteacher = "hibari"\nhours = 1\nprosody = {jm_kumo = 1}', "add up to 0, not 1"),
    ],
)
def test_a_wrong_voice_is_named(
    voices: ModuleType, tmp_path: Path, table: str, message: str
) -> None:
    plan = tmp_path / "voices.toml"
    plan.write_text(f"[nora]\n{table}\n", "utf-8")
    with pytest.raises(ValueError, match=f"nora: .*{message}"):
        voices.read_voices(plan)


def test_the_plan_is_printed_with_the_slowest_first(
    voices: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["voices.py"])
    voices.main()
    plan = voices.read_voices()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert {name for name, _, _ in rows} == {*plan}
    for name, hours, folder in rows:
        assert float(hours) == plan[name].hours
        assert folder == ("aside" if plan[name].kept_aside else "speech")
    times = [plan[name].rtf * plan[name].hours for name, _, _ in rows]
    assert times == sorted(times, reverse=True)
