"""Dialogues for training: distinct, readable, and none of the sentences that judge a model."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from causerie.text.pronounce import SPELLED, Lexicon

RECIPE = Path(__file__).parents[2] / "recipes" / "petit"
LEXICON = RECIPE.parents[1] / "src" / "causerie" / "assets" / "petit" / "lexicon.txt.gz"
Dialogue = tuple[str, ...]


@pytest.fixture(scope="module")
def module() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(RECIPE)
        return importlib.import_module("dialogues")


@pytest.fixture(scope="module")
def written(module: ModuleType) -> list[Dialogue]:
    found: list[Dialogue] = module.dialogues()
    return found


def test_dialogues_are_many_different_and_of_two_to_six_turns(written: list[Dialogue]) -> None:
    assert len(set(written)) == len(written) == 6_000
    sizes = Counter(map(len, written))
    assert {*sizes} == {2, 3, 4, 5, 6}
    assert min(sizes.values()) > 100


def test_turns_are_short_clean_sentences(written: list[Dialogue]) -> None:
    for turn in {turn for turns in written for turn in turns}:
        assert re.fullmatch(r"[A-Z][A-Za-z' ,.?!]*[.?!]", turn), turn
        assert not re.search(r" [,.?!]|  |[,.?!][A-Za-z]|,[.?!]|[.?!][,.]", turn), turn
        assert len(turn.split()) <= 22


def test_every_word_is_in_the_lexicon(written: list[Dialogue]) -> None:
    lexicon = Lexicon.load(LEXICON)
    for turn in {turn for turns in written for turn in turns}:
        reading = lexicon.read(turn)
        assert not reading.unread, turn
        assert not {*SPELLED.values()} & {*reading.phonemes}, turn


def test_no_turn_holds_a_held_out_sentence(module: ModuleType, written: list[Dialogue]) -> None:
    is_held_out = module.held_out()
    assert is_held_out("Well, his voice! Nobody knew who had opened the window... Oh.")
    assert not any(is_held_out(turn) for turns in written for turn in turns)


def test_the_output_is_the_same_every_time(
    module: ModuleType,
    written: list[Dialogue],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["dialogues.py"])
    module.main()
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [tuple(turn["text"] for turn in row["turns"]) for row in rows] == written
    assert len({row["conversation"] for row in rows}) == len(rows)
    speakers = {"".join(turn["speaker"] for turn in row["turns"]) for row in rows}
    assert speakers == {"ababab"[:size] for size in range(2, 7)}


def test_named_slots_are_constant_and_can_be_spelled(module: ModuleType) -> None:
    chance = module.random.Random(0)
    decks = module.Decks({"name": ["Anna", "Zoe"], "vp": ["call {name}"]}, chance)
    first, second, third = module.fill(
        ("{name#x} {vp#v:past}.", "{name#x:spelled}.", "I {vp#v}."), decks
    )
    name = first.split()[0]
    assert second == f"{', '.join(name.upper())}."
    assert first.replace("called", "call") == f"{name} {third[2:]}"


def test_joined_dialogues_keep_turns_in_order(module: ModuleType) -> None:
    chance = module.random.Random(0)
    two, three, hello = ("A?", "B."), ("C?", "D.", "E."), ("{greet}!", "Hi!")
    assert module.joined(two, [three, hello, ("F.",) * 5], chance) == two + three
    assert module.joined(three, [two], chance) == three
    assert module.joined(two, [hello], chance) == two
