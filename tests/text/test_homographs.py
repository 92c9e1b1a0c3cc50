"""The words around a homograph choose its pronunciation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from causerie.text.front_end import FrontEnd
from causerie.text.homographs import choose
from causerie.text.pronounce import Lexicon
from causerie.voice_file import BUNDLED

_LINES = (Path(__file__).parent / "homographs.tsv").read_text(encoding="utf-8").splitlines()[1:]
SENTENCES = [tuple(line.split("\t")) for line in _LINES]
_WORD = re.compile(r"[A-Za-z']+|[,.!?]")


def _chosen(word: str, sentence: str) -> str | None:
    words = _WORD.findall(sentence)
    return choose(words, [w.lower() for w in words].index(word))


def test_the_table_has_both_readings_of_fifty_words() -> None:
    assert len(SENTENCES) >= 150
    readings = {(word, phonemes) for word, phonemes, _ in SENTENCES}
    both = [word for word, _ in readings if sum(word == w for w, _ in readings) == 2]
    assert len(set(both)) >= 50


@pytest.mark.parametrize("word", sorted({word for word, _, _ in SENTENCES}))
def test_context_chooses(word: str) -> None:
    wrong = [
        f"{sentence!r}: {chosen}, not {phonemes}"
        for of_word, phonemes, sentence in SENTENCES
        if of_word == word and (chosen := _chosen(word, sentence)) != phonemes
    ]
    assert not wrong, "\n".join(wrong)


def test_a_lexicon_reads_homographs_in_context() -> None:
    front_end = FrontEnd.load("phonemes", BUNDLED)
    assert front_end("Lead pipes lead on.").text == "lˈɛd pˈIps lˈid ˌɔn."
    assert front_end("Farms produce produce.").text == "fˈɑɹmz pɹədˈus pɹˈOdˌus."
    assert front_end("Re-enter the pre-war house.").text == "ɹˌiˈɛntəɹ ðə pɹˌiwˈɔɹ hˈWs."


def test_a_fixed_word_has_one_pronunciation_in_every_context() -> None:
    lexicon = Lexicon({"the": "ðə", "pipes": "pˈIps"}, fixed={"lead": "lˈid"})
    assert lexicon.read("the lead pipes").phonemes == "ðə lˈid pˈIps"


def test_words_without_two_readings_are_left_to_the_lexicon() -> None:
    assert choose(["The", "cat", "sat"], 1) is None
