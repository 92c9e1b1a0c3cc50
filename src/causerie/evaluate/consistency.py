"""Does a word keep its pronunciation over turns? Sesame's consistency test, rebuilt.

Ten words with two accepted pronunciations. In turn 1 the model speaks a sentence with one of them
spelled out; turn 2 says the word again, with turn 1, as it is usually written, as its context. A
model that does not listen says the word always alike: that keeps half of the pronunciations, and
for none of the words both.
"""

from __future__ import annotations

from collections.abc import Sequence

from causerie.evaluate.clip import Clip, Measured, Row
from causerie.evaluate.reading import Reading, Word, judge, spelled_out
from causerie.evaluate.speaking import Speaking
from causerie.prompt import Segment

#: The sentences are those of turn 1 and of turn 2.
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
    """Speak both turns with either reading in the first, and judge the second.

    Numbers: consistency, the share of second turns that keep the first one's reading;
    consistency_both, the share of words that keep either; consistency_judge, the share of first
    turns that the judge gets right, whose reading is known.

    Returns:
        The figures, and all turns.
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
            check = judge(speaking.tts, one.audio, first, word, voice)
            found = judge(speaking.tts, two.audio, second, word, voice)
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
