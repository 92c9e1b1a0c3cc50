"""Tests whether a word keeps its pronunciation over turns, after Sesame's consistency test.

Each of ten words has two accepted pronunciations. Turn 1 spells one of them out; turn 2 has the
word again, with turn 1 in usual spelling as context. A model that ignores its context always
pronounces a word in one way, and scores half of the pronunciations and no word with both.
"""

from __future__ import annotations

from collections.abc import Sequence

from causerie.evaluate.clip import Clip, Measured, Row
from causerie.evaluate.reading import Reading, Word, classify, spelled_out
from causerie.evaluate.speaking import Speaking
from causerie.prompt import Segment

#: Each word has the sentence of turn 1 and of turn 2.
VARIANTS = (
    Word(
        "route", (Reading("root", "ɹˈut"), Reading("rout", "ɹˈWt")),
        ("We took the longer route to the city.", "That route goes along the river."),
    ),
    Word(
        "data", (Reading("dayta", "dˈATə"), Reading("datta", "dˈæTə")),
        ("They collected the data last week.", "The data looks good to me."),
    ),
    Word(
        "either", (Reading("eether", "ˈiðəɹ"), Reading("eyether", "ˈIðəɹ")),
        ("You can take either of these chairs.", "I do not like either color."),
    ),
    Word(
        "neither", (Reading("neether", "nˈiðəɹ"), Reading("nyether", "nˈIðəɹ")),
        ("It turned out that neither team won.", "In the end neither plan was good."),
    ),
    Word(
        "tomato", (Reading("tomayto", "təmˈATO"), Reading("tomahto", "təmˈɑTO")),
        ("She put a tomato in the salad.", "The tomato was ripe and sweet."),
    ),
    Word(
        "aunt", (Reading("ant", "ˈænt"), Reading("ahnt", "ˈɑnt")),
        ("My aunt lives by the sea.", "We visit my aunt every summer."),
    ),
    Word(
        "often", (Reading("offen", "ˈɔfᵊn"), Reading("off ten", "ˈɔftᵊn")),
        ("We often walk in the park.", "How often do you go there?"),
    ),
    Word(
        "envelope", (Reading("ennvelope", "ˈɛnvəlˌOp"), Reading("onvelope", "ˈɑnvəlˌOp")),
        ("He put the letter in an envelope.", "The envelope is on the table."),
    ),
    Word(
        "vase", (Reading("vace", "vˈAs"), Reading("vahz", "vˈɑz")),
        ("There is a blue vase on the shelf.", "I put some flowers in the vase."),
    ),
    Word(
        "economics", (Reading("eckonomics", "ˌɛkənˈɑmɪks"), Reading("eekonomics", "ˌikənˈɑmɪks")),
        ("She studies economics at college.", "I never understood economics at all."),
    ),
)  # fmt: skip


def measure(speaking: Speaking, words: Sequence[Word] = VARIANTS) -> tuple[Measured, list[Clip]]:
    """Speak both turns with each reading in the first, and classify the second.

    Numbers: consistency, the share of second turns with the reading of the first;
    consistency_both, the share of words that keep both readings; consistency_judge, the accuracy
    of the classifier on first turns, whose reading is known.

    Returns:
        The figures and all turns.
    """
    rows: list[Row] = []
    clips = []
    for word in words:
        first, second = word.sentences
        for given, reading in enumerate(word.readings):
            voice = speaking.next_voice()
            saying, text = spelled_out(speaking.tts, first, word, given)
            one = speaking.speak(text, voice, tts=saying)
            said = []
            if len(one.audio.samples):
                said = [Segment(speaker=voice.speaker, text=first, codes=one.audio.codes)]
            two = speaking.speak(second, voice, context=said)
            check = classify(speaking.tts, one.audio, first, word, voice)
            found = classify(speaking.tts, two.audio, second, word, voice)
            clips += [one, two]
            rows.append(
                {
                    "word": word.word,
                    "text": second,
                    "given": reading.letters,
                    "kept": bool(said) and found.reading == given,
                    "margin": found.margin,
                    "judge_right": check.reading == given,
                }
            )
    kept = [row["kept"] for row in rows]
    both = [one and two for one, two in zip(kept[::2], kept[1::2], strict=True)]
    numbers = {
        "consistency": sum(kept) / len(kept),
        "consistency_both": sum(both) / len(both),
        "consistency_judge": sum(row["judge_right"] for row in rows) / len(rows),
    }
    return Measured(numbers=numbers, rows=rows), clips
