"""Tests whether context decides how a word is read, after Sesame's homograph test.

Each of fifteen words has two pronunciations, and one sentence that requires each. A model that
ignores its context always reads a word in one way, and scores half of the sentences and no word in
both.
"""

from __future__ import annotations

from collections.abc import Sequence

from causerie.evaluate.clip import Clip, Measured, Row
from causerie.evaluate.reading import Reading, Word, classify, spelled_out
from causerie.evaluate.speaking import Speaking

#: The first sentence requires the first reading, the second the second.
HOMOGRAPHS = (
    Word(
        "lead", (Reading("leed", "lˈid"), Reading("led", "lˈɛd")),
        ("She took the lead early in the race.", "The old water pipes were made of lead."),
    ),
    Word(
        "bass", (Reading("base", "bˈAs"), Reading("bas", "bˈæs")),
        ("He plays the bass guitar in a band.", "We caught a large bass in the lake."),
    ),
    Word(
        "row", (Reading("roe", "ɹˈO"), Reading("rau", "ɹˈW")),
        ("We sat in the front row of the theater.", "The neighbors had a terrible row last night."),
    ),
    Word(
        "tear", (Reading("tier", "tˈɪɹ"), Reading("tare", "tˈɛɹ")),
        ("A tear rolled slowly down her cheek.", "Please do not tear the paper in half."),
    ),
    Word(
        "wind", (Reading("winned", "wˈɪnd"), Reading("wined", "wˈInd")),
        ("A cold wind blew from the north.", "Remember to wind the old clock every night."),
    ),
    Word(
        "wound", (Reading("woond", "wˈund"), Reading("wownd", "wˈWnd")),
        ("The nurse put a bandage on the wound.", "He wound the rope around the post."),
    ),
    Word(
        "dove", (Reading("duv", "dˈʌv"), Reading("dohv", "dˈOv")),
        ("A white dove sat on the roof.", "She dove into the cold water."),
    ),
    Word(
        "bow", (Reading("beau", "bˈO"), Reading("bough", "bˈW")),
        ("He shot an arrow with his bow.", "The actors took a bow after the show."),
    ),
    Word(
        "sow", (Reading("sew", "sˈO"), Reading("sau", "sˈW")),
        ("Farmers sow the seeds in spring.", "The sow lay in the mud with her piglets."),
    ),
    Word(
        "minute", (Reading("minnit", "mˈɪnət"), Reading("my newt", "mInˈut")),
        ("Wait a minute, I am almost ready.", "The crack was so minute that nobody saw it."),
    ),
    Word(
        "close", (Reading("cloze", "klˈOz"), Reading("clohss", "klˈOs")),
        ("Please close the door behind you.", "The shop is very close to my house."),
    ),
    Word(
        "desert", (Reading("dezzert", "dˈɛzəɹt"), Reading("dessert", "dəzˈɜɹt")),
        ("Camels walk slowly through the hot desert.", "A good friend would never desert you."),
    ),
    Word(
        "read", (Reading("reed", "ɹˈid"), Reading("red", "ɹˈɛd")),
        ("I like to read before I go to sleep.", "Yesterday she read the whole book."),
    ),
    Word(
        "live", (Reading("liv", "lˈɪv"), Reading("lyve", "lˈIv")),
        ("My parents live in a small town.", "We watched the live show on television."),
    ),
    Word(
        "use", (Reading("yooss", "jˈus"), Reading("yooz", "jˈuz")),
        ("What is the use of waiting any longer?", "May I use your phone for a moment?"),
    ),
)  # fmt: skip


def measure(speaking: Speaking, words: Sequence[Word] = HOMOGRAPHS) -> tuple[Measured, list[Clip]]:
    """Speak all sentences, and classify their readings.

    Numbers: homographs, the share of sentences with the right reading; homographs_both, the share
    of words with the right reading in both sentences; homographs_judge, the accuracy of the
    classifier on known readings: the same sentences, with the other reading spelled out.

    Returns:
        The figures, and the clips whose reading the model chose.
    """
    rows: list[Row] = []
    clips = []
    for word in words:
        for meant, sentence in enumerate(word.sentences):
            voice = speaking.next_voice()
            clip = speaking.speak(sentence, voice)
            found = classify(speaking.tts, clip.audio, sentence, word, voice)
            other, text = spelled_out(speaking.tts, sentence, word, 1 - meant)
            known = speaking.speak(text, voice, tts=other)
            check = classify(speaking.tts, known.audio, sentence, word, voice)
            clips.append(clip)
            rows.append(
                {
                    "word": word.word,
                    "text": sentence,
                    "meant": word.readings[meant].letters,
                    "right": found.reading == meant,
                    "margin": found.margin,
                    "judge_right": check.reading == 1 - meant,
                }
            )
    right = [row["right"] for row in rows]
    both = [one and two for one, two in zip(right[::2], right[1::2], strict=True)]
    numbers = {
        "homographs": sum(right) / len(right),
        "homographs_both": sum(both) / len(both),
        "homographs_judge": sum(row["judge_right"] for row in rows) / len(rows),
    }
    return Measured(numbers=numbers, rows=rows), clips
